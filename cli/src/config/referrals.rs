//! Other discovery services that hosts are told of: as they are written, meant, and changed.

use super::model::Model;
use crate::args::Transport;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use wire::fabrics::Nqn;

/// Where discovery services are, by convention.
pub(crate) const DISCOVERY_PORT: u16 = 8009;
/// A target tells of so many at most.
const REFERRALS_MAX: usize = 256;

/// `[[referral]]`.
#[derive(Deserialize, Serialize, Clone, PartialEq, Debug)]
#[serde(deny_unknown_fields)]
pub(crate) struct Word {
    /// "rdma" or "tcp".
    pub trtype: Transport,
    /// Address.
    pub traddr: IpAddr,
    /// NVMe service id.
    #[serde(default = "discovery_port")]
    pub trsvcid: u16,
    /// Its NQN; that of every discovery service when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subnqn: Option<String>,
}

fn discovery_port() -> u16 {
    DISCOVERY_PORT
}

/// What is meant by one.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Referral {
    /// How hosts reach it.
    pub trtype: Transport,
    /// Where.
    pub address: SocketAddr,
    /// Its NQN; `None`: that of every discovery service.
    pub nqn: Option<String>,
}

impl fmt::Display for Referral {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Referral { trtype, address, nqn } = self;
        write!(f, "trtype={trtype} traddr={} trsvcid={}", address.ip(), address.port())?;
        nqn.iter().try_for_each(|nqn| write!(f, " subnqn={nqn}"))
    }
}

impl From<&Word> for Referral {
    fn from(word: &Word) -> Referral {
        let address = SocketAddr::new(word.traddr, word.trsvcid);
        Referral { trtype: word.trtype, address, nqn: word.subnqn.clone() }
    }
}

impl From<&Referral> for Word {
    fn from(referral: &Referral) -> Word {
        let Referral { trtype, address, nqn } = referral.clone();
        Word { trtype, traddr: address.ip(), trsvcid: address.port(), subnqn: nqn }
    }
}

impl From<&Referral> for target::Referral {
    fn from(referral: &Referral) -> target::Referral {
        let Referral { trtype, address, nqn } = referral.clone();
        target::Referral { transport: trtype.into(), address, nqn }
    }
}

/// What a file says.
pub(crate) fn meant(words: &[Word]) -> BTreeSet<Referral> {
    words.iter().map(Referral::from).collect()
}

/// As a file has them.
pub(crate) fn words(model: &Model) -> Vec<Word> {
    model.referrals.iter().map(Word::from).collect()
}

/// Errors: one place twice, no service, no name, or too many; in words.
pub(crate) fn check(model: &Model) -> Result<(), String> {
    let referrals = &model.referrals;
    if referrals.len() > REFERRALS_MAX {
        return Err(format!("{} referrals: at most {REFERRALS_MAX} are told", referrals.len()));
    }
    for referral in referrals {
        let place = |it: &Referral| (it.trtype, it.address);
        let twins = referrals.iter().filter(|it| place(it) == place(referral)).count();
        if twins > 1 || referral.address.port() == 0 {
            return Err(format!("referral {referral}: one for each service, and none to port 0"));
        }
        let nqn = referral.nqn.as_deref().map_or(Ok(()), |nqn| Nqn::new(nqn).map(drop));
        nqn.map_err(|why| format!("referral {referral}: {why}"))?;
    }
    Ok(())
}

/// Adds one. Errors: it is there already, in words.
pub(crate) fn add(model: &mut Model, word: &Word) -> Result<(), String> {
    let referral = Referral::from(word);
    match model.referrals.insert(referral.clone()) {
        true => Ok(()),
        false => Err(format!("referral {referral} is there already")),
    }
}

/// Takes one away, whatever its NQN. Errors: it is not there, in words.
pub(crate) fn remove(
    model: &mut Model,
    trtype: Transport,
    address: SocketAddr,
) -> Result<(), String> {
    let before = model.referrals.len();
    model.referrals.retain(|it| (it.trtype, it.address) != (trtype, address));
    if model.referrals.len() == before {
        let (traddr, trsvcid) = (address.ip(), address.port());
        return Err(format!(
            "no referral to {trtype} {traddr} service {trsvcid}: `flexblk referral list` shows them"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::check::whole;
    use super::super::mean::wanted;
    use super::super::words::File;
    use super::*;

    fn model(text: &str) -> Result<Model, String> {
        let model = File::parse(text).and_then(|file| wanted(&file, &Model::default()))?;
        whole(&model).map(|()| model)
    }

    /// Goal: the service of a referral has its usual port, what is written is read again as the same,
    /// and what hosts could not use is refused with the reason.
    #[test]
    fn referrals_are_read_and_checked() {
        let text = "[[referral]]\ntrtype = 'tcp'\ntraddr = '192.0.2.9'\n\
                    [[referral]]\ntrtype = 'rdma'\ntraddr = '2001:db8::1'\ntrsvcid = 4420\n\
                    subnqn = 'nqn.2026-01.io.flexblk:d'\n";
        let read = model(text).unwrap();
        assert!(read.referrals.iter().any(|it| it.address.port() == 8009 && it.nqn.is_none()));
        assert_eq!(read.referrals.len(), 2);
        assert_eq!(meant(&words(&read)), read.referrals);
        for (more, word) in [
            ("trsvcid = 8009\nsubnqn = 'nqn.2026-01.io.x'", "one for each service"),
            ("trsvcid = 0", "port 0"),
            ("trsvcid = 1\nsubnqn = 'x'", "nqn"),
            ("port = 1", "port"),
        ] {
            let more = format!("{text}[[referral]]\ntrtype='tcp'\ntraddr='192.0.2.9'\n{more}\n");
            let why = model(&more).unwrap_err();
            assert!(why.contains(word), "{more}: {why}");
        }
    }

    /// Goal: one is added once and taken away by its place alone.
    #[test]
    fn single_referrals_come_and_go() {
        let mut model = Model::default();
        let traddr = [192, 0, 2, 9].into();
        let nqn = Some("nqn.2026-01.io.x".to_owned());
        let word = Word { trtype: Transport::Tcp, traddr, trsvcid: 8009, subnqn: nqn };
        add(&mut model, &word).unwrap();
        assert!(add(&mut model, &word).unwrap_err().contains("already"));
        let address = SocketAddr::new(traddr, 8009);
        assert!(remove(&mut model, Transport::Rdma, address).unwrap_err().contains("no referral"));
        remove(&mut model, Transport::Tcp, address).unwrap();
        assert!(model.referrals.is_empty());
    }
}
