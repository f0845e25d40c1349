//! `flexblk discover`: what a discovery service tells, for people, for programs, and as the target
//! strings of the other verbs.

use crate::admin;
use crate::args::{Discover, Format, Port, Transport};
use crate::failure::Failure;
use crate::output::print;
use initiator::SessionError;
use initiator::edge::AnySession;
use serde_json::json;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use wire::fabrics::{
    AddressFamily, DiscoveryEntry, DiscoveryHeader, SubsystemType, TransportKind, Treq,
};
use wire::nvme::log::LogId;

/// Octets of the discovery log's header and of each record.
const RECORD: usize = 1024;
/// Records asked for at most: a target that claims more is not believed.
const RECORDS_MAX: u64 = 4096;
/// Times that a log is read which changes meanwhile.
const READS_MAX: u32 = 4;
/// Discovery services asked in one go: referrals may lead in circles.
const SERVICES_MAX: usize = 32;

/// What one discovery service tells.
#[derive(Debug, Default)]
pub(crate) struct Log {
    generation: u64,
    pub(crate) entries: Vec<DiscoveryEntry>,
}

/// Reads it whole: again, if it changed while it was read.
///
/// Errors: the connection's or the controller's.
pub(crate) fn read(session: &mut AnySession) -> Result<Log, SessionError> {
    let lid = LogId::Discovery.octet();
    let mut log = Log::default();
    for _ in 0..READS_MAX {
        let head = session.log_page(lid, 0, 1024)?;
        let count = DiscoveryHeader::decode(&head).map_or(0, |header| header.record_count());
        let bytes = (count.min(RECORDS_MAX) + 1) * RECORD as u64;
        let page = session.log_page(lid, 0, u32::try_from(bytes).unwrap_or(u32::MAX))?;
        let generation = |page: &[u8]| DiscoveryHeader::decode(page).map(|it| it.generation());
        let entries = page.chunks_exact(RECORD).skip(1).filter_map(DiscoveryEntry::decode);
        log = Log { generation: generation(&page).unwrap_or(0), entries: entries.collect() };
        if generation(&head) == generation(&page) {
            break;
        }
    }
    Ok(log)
}

/// `flexblk discover`.
pub(crate) fn run(args: &Discover) -> Result<(), Failure> {
    if args.targets {
        return targets(&args.port);
    }
    let Log { generation, entries } = admin::discovery_log(&args.port, true)?;
    if args.port.output == Format::Json {
        let records: Vec<_> = entries.iter().map(record_json).collect();
        let log = json!({ "genctr": generation, "records": records });
        return print(serde_json::to_string_pretty(&log)?);
    }
    let count = entries.len();
    print(format_args!(
        "Discovery Log Number of Records {count}, Generation counter {generation}"
    ))?;
    for (number, entry) in entries.iter().enumerate() {
        print(format_args!("=====Discovery Log Entry {number}======"))?;
        if let Some(fields) = record_json(entry).as_object() {
            for (name, value) in fields {
                let value = value.as_str().map_or(value.to_string(), str::to_owned);
                print(format_args!("{name}: {value}"))?;
            }
        }
    }
    Ok(())
}

fn record_json(entry: &DiscoveryEntry) -> serde_json::Value {
    let name =
        |known: Option<&'static str>, octet: u8| known.map_or(octet.to_string(), str::to_owned);
    let nqn = entry.subnqn().map(|nqn| nqn.as_str().to_owned()).unwrap_or_default();
    json!({
        "trtype": name(TransportKind::from_octet(entry.trtype()).map(TransportKind::as_str), entry.trtype()),
        "adrfam": name(AddressFamily::from_octet(entry.adrfam()).map(AddressFamily::as_str), entry.adrfam()),
        "subtype": name(SubsystemType::from_octet(entry.subtype()).map(SubsystemType::as_str), entry.subtype()),
        "treq": name(Treq::from_octet(entry.treq()).map(Treq::as_str), entry.treq()),
        "portid": entry.portid(),
        "trsvcid": entry.trsvcid().unwrap_or_default(),
        "subnqn": nqn,
        "traddr": entry.traddr().unwrap_or_default(),
        "eflags": entry.eflags(),
    })
}

/// One line for each subsystem and transport, with all its paths, also of services that are referred
/// to.
fn targets(port: &Port) -> Result<(), Failure> {
    let found = find(port)?;
    found.unreached.iter().for_each(|why| eprintln!("flexblk: {why}"));
    let lines = found.lines();
    if port.output == Format::Json {
        return print(serde_json::to_string_pretty(&json!({ "targets": lines }))?);
    }
    lines.iter().try_for_each(print)
}

/// All that the service at `port` leads to, also through others that it refers to. Errors: that of
/// the first service.
pub(crate) fn find(port: &Port) -> Result<Found, Failure> {
    let mut found = Found::default();
    found.add(&admin::discovery_log(port, true)?.entries);
    let mut asked = vec![(port.transport, SocketAddr::new(port.traddr, port.trsvcid))];
    while let Some(next) = found.referrals.pop() {
        if asked.contains(&next) || asked.len() >= SERVICES_MAX {
            continue;
        }
        asked.push(next);
        let (transport, address) = next;
        let there =
            Port { transport, traddr: address.ip(), trsvcid: address.port(), ..port.clone() };
        match admin::discovery_log(&there, true) {
            Ok(log) => found.add(&log.entries),
            Err(why) => {
                let why = format!("discovery service {address} ({transport}): {why}");
                found.unreached.push(why);
            }
        }
    }
    Ok(found)
}

/// Subsystems with their paths, and services that were not asked yet.
#[derive(Default)]
pub(crate) struct Found {
    /// Addresses by subsystem and transport, in the order of the logs.
    pub(crate) paths: BTreeMap<(String, Transport), Vec<SocketAddr>>,
    referrals: Vec<(Transport, SocketAddr)>,
    /// Services that were referred to and did not answer, with the reasons.
    pub(crate) unreached: Vec<String>,
}

impl Found {
    /// What a log tells; what cannot be reached from here is left out.
    fn add(&mut self, entries: &[DiscoveryEntry]) {
        for entry in entries {
            let Some((transport, address)) = place(entry) else { continue };
            match (SubsystemType::from_octet(entry.subtype()), entry.subnqn()) {
                (Some(SubsystemType::Referral), _) => self.referrals.push((transport, address)),
                (Some(SubsystemType::Nvm), Ok(nqn)) => {
                    let key = (nqn.as_str().to_owned(), transport);
                    let paths = self.paths.entry(key).or_default();
                    if !paths.contains(&address) {
                        paths.push(address);
                    }
                }
                _ => {}
            }
        }
    }
    fn lines(&self) -> Vec<String> {
        let line = |((nqn, transport), paths): (&(String, Transport), &Vec<SocketAddr>)| {
            target(*transport, paths, nqn)
        };
        self.paths.iter().filter_map(line).collect()
    }
}

/// The string by which the other verbs reach subsystem `nqn` through `paths`; `None`: there is none.
pub(crate) fn target(transport: Transport, paths: &[SocketAddr], nqn: &str) -> Option<String> {
    let (first, more) = paths.split_first()?;
    let more: String = more.iter().map(|path| format!("path={path} ")).collect();
    let (traddr, trsvcid) = (first.ip(), first.port());
    Some(format!("trtype={transport} traddr={traddr} trsvcid={trsvcid} {more}subnqn={nqn}"))
}

fn place(entry: &DiscoveryEntry) -> Option<(Transport, SocketAddr)> {
    let transport = match TransportKind::from_octet(entry.trtype())? {
        TransportKind::Rdma => Transport::Rdma,
        TransportKind::Tcp => Transport::Tcp,
        TransportKind::FibreChannel | TransportKind::Loop => return None,
    };
    let address = entry.traddr()?.parse().ok()?;
    Some((transport, SocketAddr::new(address, entry.trsvcid()?.parse().ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use initiator::TargetSpec;
    use wire::fabrics::Nqn;

    fn entry(subtype: SubsystemType, nqn: &str, traddr: &str, trsvcid: &str) -> DiscoveryEntry {
        let mut entry = DiscoveryEntry::zeroed();
        entry
            .set_trtype(TransportKind::Tcp.octet())
            .set_subtype(subtype.octet())
            .set_traddr(traddr)
            .set_trsvcid(trsvcid)
            .set_subnqn(&Nqn::lenient(nqn).unwrap());
        entry
    }

    /// Goal: a subsystem's ports become the paths of one target string that the other verbs read;
    /// referrals are followed, and nonsense in a log is left out.
    #[test]
    fn a_log_becomes_target_strings() {
        let mut found = Found::default();
        found.add(&[
            entry(SubsystemType::CurrentDiscovery, Nqn::DISCOVERY, "192.0.2.1", "8009"),
            entry(SubsystemType::Nvm, "nqn.x:a", "192.0.2.1", "4420"),
            entry(SubsystemType::Nvm, "nqn.x:a", "2001:db8::1", "4421"),
            entry(SubsystemType::Nvm, "nqn.x:a", "192.0.2.1", "4420"),
            entry(SubsystemType::Nvm, "nqn.x:b", "nowhere", "4420"),
            entry(SubsystemType::Nvm, "nqn.x:c", "192.0.2.1", "99999"),
            entry(SubsystemType::Referral, Nqn::DISCOVERY, "192.0.2.9", "8009"),
        ]);
        let lines = found.lines();
        let only =
            "trtype=tcp traddr=192.0.2.1 trsvcid=4420 path=[2001:db8::1]:4421 subnqn=nqn.x:a";
        assert_eq!(lines, [only]);
        let spec: TargetSpec = only.parse().unwrap();
        assert_eq!(spec.paths, ["[2001:db8::1]:4421".parse().unwrap()]);
        assert_eq!(found.referrals, [(Transport::Tcp, "192.0.2.9:8009".parse().unwrap())]);
    }
}
