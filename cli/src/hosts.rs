//! `[[subsystem.host]]`: which hosts may use a subsystem, and what they must prove.
//!
//! Words are those of nvme-cli and of Linux's target.

use crate::failure::Failure;
use auth::{Credentials, DhGroup, HashId, Secret};
use netstack::fabric::Fabric;
use serde::Deserialize;
use std::fmt;
use target::{HostList, Reactor};

/// What may be written.
#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub(crate) struct Host {
    /// Its NQN.
    pub nqn: String,
    /// It must prove that it has this secret.
    pub dhchap_secret: Option<Hidden>,
    /// The controller proves that it has this one, if the host asks.
    pub dhchap_ctrl_secret: Option<Hidden>,
    /// "sha256", "sha384" or "sha512": the host must speak it.
    pub dhchap_hash: Option<String>,
    /// "null", "ffdhe2048" and so on: the host must speak it.
    pub dhchap_dhgroup: Option<String>,
}

/// Text that is not shown.
#[derive(Deserialize)]
pub(crate) struct Hidden(String);

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// The hosts of one subsystem, checked.
#[derive(Debug)]
pub(crate) struct Admitted {
    subsystem: String,
    hosts: Vec<(String, Option<Credentials>)>,
}

/// What `hosts` of a subsystem means; `None` when it lists none: then every host may use it.
pub(crate) fn plan(subsystem: &str, hosts: Vec<Host>) -> Result<Option<Admitted>, Failure> {
    let planned = hosts.into_iter().map(|host| {
        let credentials = credentials(&host)
            .map_err(|why| Failure::misuse(format_args!("host {}: {why}", host.nqn)))?;
        Ok((host.nqn, credentials))
    });
    let hosts = planned.collect::<Result<Vec<_>, Failure>>()?;
    Ok((!hosts.is_empty()).then(|| Admitted { subsystem: subsystem.to_owned(), hosts }))
}

fn credentials(host: &Host) -> Result<Option<Credentials>, String> {
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

impl Admitted {
    /// Has the target keep to it.
    pub(crate) fn apply<F: Fabric>(&self, reactor: &mut Reactor<F>) -> Result<(), Failure> {
        let names = self.hosts.iter().map(|(nqn, _)| nqn.as_str());
        reactor.set_hosts(&self.subsystem, HostList::only(names))?;
        for (nqn, credentials) in &self.hosts {
            reactor.set_credentials(&self.subsystem, nqn, credentials.clone())?;
        }
        Ok(())
    }
}

/// What is wrong with a file, without the line that it shows when a secret may stand there.
pub(crate) fn shown(error: &toml::de::Error) -> String {
    let text = error.to_string();
    if text.contains("secret") { error.message().to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "DHHC-1:00:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh+KfiaR:";

    fn planned(lines: &str) -> Result<Option<Admitted>, Failure> {
        let host = toml::from_str::<Host>(&format!("nqn = \"nqn.x\"\n{lines}"));
        plan("nqn.s", vec![host.map_err(|why| Failure::misuse(shown(&why)))?])
    }

    /// Goal: what is written is meant, and a secret that is wrong is told of, but not told.
    #[test]
    fn hosts_are_planned() {
        assert!(plan("nqn.s", Vec::new()).unwrap().is_none(), "every host");
        assert!(planned("").unwrap().unwrap().hosts[0].1.is_none());
        let secrets = format!("dhchap_secret = {SECRET:?}\ndhchap_ctrl_secret = {SECRET:?}");
        let words = "\ndhchap_hash = \"hmac(sha384)\"\ndhchap_dhgroup = \"ffdhe3072\"";
        let admitted = planned(&(secrets.clone() + words)).unwrap().unwrap();
        assert!(!format!("{admitted:?}").contains("AAEC"));
        let credentials = admitted.hosts[0].1.clone().unwrap();
        assert_eq!(credentials.hash, Some(HashId::Sha384));
        assert_eq!(credentials.group, Some(DhGroup::Ffdhe3072));
        assert!(credentials.controller.is_some());
        for (lines, why) in [
            (secrets.replace("AAEC", "AAED"), "checksum"),
            (format!("dhchap_ctrl_secret = {SECRET:?}"), "dhchap_secret is missing"),
            (format!("{secrets}\ndhchap_hash = \"md5\""), "sha256"),
            (format!("{secrets}\ndhchap_dhgroup = \"modp\""), "ffdhe2048"),
            (secrets.replace('"', ""), "expected"),
        ] {
            let error = planned(&lines).unwrap_err().to_string();
            assert!(error.contains(why) && !error.contains("AwQF"), "{error}");
        }
    }
}
