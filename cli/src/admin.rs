//! The looking verbs: discover, id-ctrl, id-ns, list-ns.

use crate::args::{Format, Namespace, Port};
use crate::failure::Failure;
use crate::keys;
use crate::output::print;
use initiator::edge::{self, AnySession, Settings};
use initiator::{SessionError, TargetSpec, Timers};
use serde_json::json;
use std::time::Duration;
use wire::fabrics::{
    AddressFamily, DiscoveryEntry, DiscoveryHeader, Nqn, SubsystemType, TransportKind, Treq,
};
use wire::nvme::identify::{IdentifyController, IdentifyNamespace, trim_field};
use wire::nvme::log::LogId;

/// Octets of the discovery log's header and of each record.
const RECORD: usize = 1024;
/// Records asked for at most: a target that claims more is not believed.
const RECORDS_MAX: u64 = 4096;

/// A session on `subnqn`. The discovery service that is only looked at for a subsystem's name need not
/// prove itself: `must_prove`.
fn connect(port: &Port, subnqn: Option<String>, must_prove: bool) -> Result<AnySession, Failure> {
    let mut spec = TargetSpec::port(port.traddr, port.trsvcid);
    spec.transport = port.transport.into();
    spec.subnqn = subnqn;
    spec.hostaddr = port.host_traddr;
    spec.hostnqn = port.hostnqn.clone();
    keys::set(&mut spec, &port.secrets)?;
    if !must_prove {
        spec.dhchap_ctrl_secret = None;
    }
    // Looking needs no I/O queue and no keep alive.
    let timers = Timers { keep_alive: Duration::ZERO, ..Timers::default() };
    let settings = Settings { io_queues: 0, timers, ..Settings::default() };
    Ok(edge::connect(&spec, &settings)?)
}

/// The subsystem asked for, or the only one that the target exports.
fn subsystem(port: &Port) -> Result<String, Failure> {
    if let Some(nqn) = &port.subnqn {
        return Ok(nqn.clone());
    }
    let mut found: Vec<String> = records(port, false)?
        .iter()
        .filter(|entry| entry.subtype() == SubsystemType::Nvm.octet())
        .filter_map(|entry| entry.subnqn().ok().map(|nqn| nqn.as_str().to_owned()))
        .collect();
    // One is told once for each port that leads to it.
    found.sort();
    found.dedup();
    match found.as_slice() {
        [only] => Ok(only.clone()),
        [] => Err(Failure::new("the target exports no subsystem")),
        several => Err(Failure::new(format!(
            "the target exports several subsystems, choose one with -n: {}",
            several.join(", ")
        ))),
    }
}

fn records(port: &Port, must_prove: bool) -> Result<Vec<DiscoveryEntry>, Failure> {
    let mut session = connect(port, Some(Nqn::DISCOVERY.into()), must_prove)?;
    let lid = LogId::Discovery.octet();
    let header = session.log_page(lid, 0, 1024)?;
    let count = DiscoveryHeader::decode(&header).map_or(0, |header| header.record_count());
    let bytes = (count.min(RECORDS_MAX) + 1) * RECORD as u64;
    let log = session.log_page(lid, 0, u32::try_from(bytes).unwrap_or(u32::MAX))?;
    session.close();
    Ok(log.chunks_exact(RECORD).skip(1).filter_map(DiscoveryEntry::decode).collect())
}

/// `flexblk discover`.
pub(crate) fn discover(port: &Port) -> Result<(), Failure> {
    let records = records(port, true)?;
    if port.output == Format::Json {
        let records: Vec<_> = records.iter().map(record_json).collect();
        return print(serde_json::to_string_pretty(&json!({ "records": records }))?);
    }
    print(format_args!("Discovery Log Number of Records {}", records.len()))?;
    for (number, entry) in records.iter().enumerate() {
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
    })
}

/// `flexblk id-ctrl`.
pub(crate) fn id_ctrl(port: &Port) -> Result<(), Failure> {
    let nqn = subsystem(port)?;
    let mut session = connect(port, Some(nqn), true)?;
    let octets = session.identify_controller()?;
    session.close();
    let id = IdentifyController::decode(&octets).ok_or_else(|| Failure::new("short answer"))?;
    let text = |field: &[u8]| trim_field(field).unwrap_or_default().to_owned();
    let fields = json!({
        "vid": id.vid(), "ssvid": id.ssvid(),
        "sn": text(&id.sn()), "mn": text(&id.mn()), "fr": text(&id.fr()),
        "mdts": id.mdts(), "cntlid": id.cntlid().0, "ver": id.ver(), "oaes": id.oaes(),
        "ctratt": id.ctratt(), "cntrltype": id.cntrltype(), "oacs": id.oacs(), "acl": id.acl(),
        "aerl": id.aerl(), "lpa": id.lpa(), "elpe": id.elpe(), "kas": id.kas(),
        "maxcmd": id.maxcmd(), "nn": id.nn(), "oncs": id.oncs(), "vwc": id.vwc(),
        "awun": id.awun(), "awupf": id.awupf(), "sgls": id.sgls(),
        "subnqn": text(&id.subnqn()), "ioccsz": id.ioccsz(), "iorcsz": id.iorcsz(),
        "icdoff": id.icdoff(), "msdbd": id.msdbd(),
    });
    show(port.output, "NVME Identify Controller", &fields)
}

/// `flexblk id-ns`.
pub(crate) fn id_ns(args: &Namespace) -> Result<(), Failure> {
    let nqn = subsystem(&args.port)?;
    let mut session = connect(&args.port, Some(nqn), true)?;
    let octets = session.identify_namespace(args.nsid)?;
    session.close();
    // A controller answers with zeros for a number that no namespace has.
    if octets.iter().all(|octet| *octet == 0) {
        return Err(SessionError::NoNamespace(args.nsid).into());
    }
    let id = IdentifyNamespace::decode(&octets).ok_or_else(|| Failure::new("short answer"))?;
    let hex = |octets: &[u8]| octets.iter().map(|o| format!("{o:02x}")).collect::<String>();
    let fields = json!({
        "nsze": id.nsze(), "ncap": id.ncap(), "nuse": id.nuse(), "nsfeat": id.nsfeat(),
        "nlbaf": id.nlbaf(), "nguid": hex(&id.nguid()),
        "eui64": hex(&id.eui64()),
        "block_bytes": id.current_format().and_then(|format| format.block_bytes()),
    });
    show(args.port.output, "NVME Identify Namespace", &fields)
}

/// `flexblk list-ns`.
pub(crate) fn list_ns(port: &Port) -> Result<(), Failure> {
    let nqn = subsystem(port)?;
    let mut session = connect(port, Some(nqn), true)?;
    let ids = session.namespaces()?;
    session.close();
    if port.output == Format::Json {
        let list: Vec<_> = ids.iter().map(|nsid| json!({ "nsid": nsid })).collect();
        print(serde_json::to_string_pretty(&json!({ "nsid_list": list }))?)?;
    } else {
        for (number, nsid) in ids.iter().enumerate() {
            print(format_args!("[{number:4}]:{nsid:#x}"))?;
        }
    }
    Ok(())
}

fn show(format: Format, title: &str, fields: &serde_json::Value) -> Result<(), Failure> {
    if format == Format::Json {
        return print(serde_json::to_string_pretty(fields)?);
    }
    print(format_args!("{title}:"))?;
    for (name, value) in fields.as_object().into_iter().flatten() {
        let value = value.as_str().map_or(value.to_string(), str::to_owned);
        print(format_args!("{name:11}: {value}"))?;
    }
    Ok(())
}
