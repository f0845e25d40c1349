//! `[[subsystem.host]]`: which hosts may use a subsystem, what they must prove, and how fast they may be.
//!
//! Words are those of nvme-cli and of Linux's target.

use crate::config::limit::Limit;
use auth::{Credentials, DhGroup, HashId, Secret, TlsKey};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// What may be written.
#[derive(Deserialize, Serialize, Clone, PartialEq, Eq, Debug, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct Host {
    /// Its NQN.
    pub nqn: String,
    /// What it must prove.
    #[serde(flatten)]
    pub keys: Keys,
    /// How fast it may read and write, over all its controllers and namespaces.
    #[serde(default, skip_serializing_if = "Limit::is_none")]
    pub limit: Limit,
}

/// What a host must prove, and by which means.
#[derive(Deserialize, Serialize, Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Keys {
    /// It must prove that it has this secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dhchap_secret: Option<Hidden>,
    /// The controller proves that it has this one, if the host asks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dhchap_ctrl_secret: Option<Hidden>,
    /// "sha256", "sha384" or "sha512": the host must speak it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dhchap_hash: Option<String>,
    /// "null", "ffdhe2048" and so on: the host must speak it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dhchap_dhgroup: Option<String>,
    /// It must come with TLS and this key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_psk: Option<Hidden>,
}

/// Text that is not shown, but where it is kept.
#[derive(Deserialize, Serialize, Clone, PartialEq, Eq)]
pub(crate) struct Hidden(String);

impl Hidden {
    pub(crate) fn new(text: String) -> Hidden {
        Hidden(text)
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// What the hosts of a subsystem must prove, by NQN; those that must prove nothing are not in it.
pub(crate) type Keyring = BTreeMap<String, Keys>;

/// The keyring that `hosts` are. Errors: in words, without the secrets.
pub(crate) fn keyring(hosts: &[Host]) -> Result<Keyring, String> {
    let mut keyring = Keyring::new();
    let mut nqns = BTreeSet::new();
    for Host { nqn, keys, .. } in hosts {
        credentials(keys).map_err(|why| format!("host {nqn}: {why}"))?;
        tls_key(keys).map_err(|why| format!("host {nqn}: {why}"))?;
        if !nqns.insert(nqn) {
            return Err(format!("host {nqn} is there twice"));
        }
        if *keys != Keys::default() {
            keyring.insert(nqn.clone(), keys.clone());
        }
    }
    Ok(keyring)
}

/// What limits `hosts`, by NQN.
pub(crate) fn limits(hosts: &[Host]) -> BTreeMap<String, Limit> {
    let limited = hosts.iter().filter(|host| !host.limit.is_none());
    limited.map(|host| (host.nqn.clone(), host.limit)).collect()
}

/// `None`: nothing is to be proved. Errors: in words, without the secrets.
pub(crate) fn credentials(host: &Keys) -> Result<Option<Credentials>, String> {
    let Some(secret) = &host.dhchap_secret else {
        let needs_one = host.dhchap_ctrl_secret.is_some()
            || host.dhchap_hash.is_some()
            || host.dhchap_dhgroup.is_some();
        return if needs_one { Err("dhchap_secret is missing".into()) } else { Ok(None) };
    };
    let parse =
        |key: &str, text: &Hidden| text.0.parse::<Secret>().map_err(|why| format!("{key}: {why}"));
    let ctrl = host.dhchap_ctrl_secret.as_ref();
    Ok(Some(Credentials {
        host: parse("dhchap_secret", secret)?,
        controller: ctrl.map(|text| parse("dhchap_ctrl_secret", text)).transpose()?,
        hash: host.dhchap_hash.as_deref().map(hash).transpose()?,
        group: host.dhchap_dhgroup.as_deref().map(group).transpose()?,
    }))
}

/// `None`: it comes without TLS. Errors: in words, without the key.
pub(crate) fn tls_key(host: &Keys) -> Result<Option<TlsKey>, String> {
    let parse = |text: &Hidden| text.0.parse::<TlsKey>().map_err(|why| format!("tls_psk: {why}"));
    host.tls_psk.as_ref().map(parse).transpose()
}
/// Hosts that come with TLS.
pub(crate) fn with_tls(keyring: &Keyring) -> impl Iterator<Item = &str> {
    keyring.iter().filter(|(_, keys)| keys.tls_psk.is_some()).map(|(nqn, _)| nqn.as_str())
}

/// "sha256", or "hmac(sha256)" as Linux's target says.
fn hash(word: &str) -> Result<HashId, String> {
    let name = word.strip_prefix("hmac(").and_then(|word| word.strip_suffix(')')).unwrap_or(word);
    let found = HashId::ALL.iter().find(|hash| hash.as_str() == name);
    found.copied().ok_or(format!("dhchap_hash {word:?}: sha256, sha384 or sha512"))
}

fn group(word: &str) -> Result<DhGroup, String> {
    let found = DhGroup::ALL.iter().find(|group| group.as_str() == word);
    found
        .copied()
        .ok_or(format!("dhchap_dhgroup {word:?}: null, or ffdhe2048, 3072, 4096, 6144, 8192"))
}

/// What is wrong with a file, without the line that it shows when a secret may stand there.
pub(crate) fn shown(error: &toml::de::Error) -> String {
    let text = error.to_string();
    if text.contains("secret") || text.contains("psk") { error.message().to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "DHHC-1:00:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh+KfiaR:";

    fn planned(lines: &str) -> Result<Keyring, String> {
        let host = toml::from_str::<Host>(&format!("nqn = \"nqn.x\"\n{lines}"));
        keyring(&[host.map_err(|why| shown(&why))?])
    }

    /// Goal: what is written is meant, and a secret that is wrong is told of, but not told.
    #[test]
    fn hosts_are_planned() {
        assert!(planned("").unwrap().is_empty(), "nothing is to be proved");
        let secrets = format!("dhchap_secret = {SECRET:?}\ndhchap_ctrl_secret = {SECRET:?}");
        let words = "\ndhchap_hash = \"hmac(sha384)\"\ndhchap_dhgroup = \"ffdhe3072\"";
        let admitted = planned(&(secrets.clone() + words)).unwrap();
        assert!(!format!("{admitted:?}").contains("AAEC"));
        let credentials = credentials(&admitted["nqn.x"]).unwrap().unwrap();
        assert_eq!(credentials.hash, Some(HashId::Sha384));
        assert_eq!(credentials.group, Some(DhGroup::Ffdhe3072));
        assert!(credentials.controller.is_some());
        for (lines, why) in [
            (secrets.replace("AAEC", "AAED"), "checksum"),
            (format!("dhchap_ctrl_secret = {SECRET:?}"), "dhchap_secret is missing"),
            (format!("{secrets}\ndhchap_hash = \"md5\""), "sha256"),
            (format!("{secrets}\ndhchap_dhgroup = \"modp\""), "ffdhe2048"),
            (secrets.replace('"', ""), "expected"),
            ("dhchap_key = 1".into(), "dhchap_key"),
            (format!("tls_psk = {SECRET:?}"), "tls_psk: a TLS key looks like"),
        ] {
            let error = planned(&lines).unwrap_err();
            assert!(error.contains(why) && !error.contains("AwQF"), "{error}");
        }
    }
}
