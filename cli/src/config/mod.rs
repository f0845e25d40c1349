//! `flexblk serve --config FILE`: what is written, and what it means.

use crate::args::{DEFAULT_NQN, Offer, Poll, Serve, Transport};
use crate::failure::Failure;
use serde::Deserialize;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use storage::BackendSpec;

/// What may be written. Unknown words are refused: a typo must not pass for a default.
#[derive(Deserialize, Debug, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    /// Address to listen on.
    pub traddr: Option<IpAddr>,
    /// NVMe service id.
    pub trsvcid: Option<u16>,
    /// ["rdma", "tcp"], or one of them.
    #[serde(default)]
    pub transport: Vec<Transport>,
    /// "busy" or "adaptive".
    pub poll: Option<Poll>,
    /// CPU to run on.
    pub cpu: Option<usize>,
    /// Record every packet.
    pub pcap: Option<PathBuf>,
    /// "auto" or "udp".
    pub link: Option<Offer>,
    /// What is exported.
    #[serde(default, rename = "subsystem")]
    pub subsystems: Vec<Subsystem>,
}

/// `[[subsystem]]`.
#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub(crate) struct Subsystem {
    /// Its NQN.
    pub nqn: String,
    /// Its namespaces.
    #[serde(default, rename = "namespace")]
    pub namespaces: Vec<Namespace>,
}

/// `[[subsystem.namespace]]`.
#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub(crate) struct Namespace {
    /// Number; the first free one when left out.
    pub nsid: Option<u32>,
    /// Disk.
    pub uri: String,
}

/// What is meant: everything checked, nothing left out.
#[derive(Debug)]
pub(crate) struct Plan {
    /// Address to listen on.
    pub traddr: IpAddr,
    /// NVMe service id.
    pub trsvcid: u16,
    /// Fabrics that hosts may come by. Empty: all that can be had.
    pub transports: Vec<Transport>,
    /// UDP port of the transport.
    pub udp_port: u16,
    /// How to wait.
    pub poll: Poll,
    /// CPU to run on.
    pub cpu: Option<usize>,
    /// Record every packet.
    pub pcap: Option<PathBuf>,
    /// How hosts reach it.
    pub link: Offer,
    /// NQN and its namespaces.
    pub subsystems: Vec<(String, Vec<PlannedNamespace>)>,
}

/// One namespace to be.
#[derive(Debug)]
pub(crate) struct PlannedNamespace {
    /// Number, if chosen.
    pub nsid: Option<u32>,
    /// As written.
    pub uri: String,
    /// As meant.
    pub spec: BackendSpec,
}

impl Plan {
    /// From the command line and the file that it names; the command line wins.
    pub(crate) fn new(args: &Serve) -> Result<Plan, Failure> {
        let file = args.config.as_deref().map(read).transpose()?.unwrap_or_default();
        let mut subsystems = Vec::new();
        for subsystem in file.subsystems {
            let planned = subsystem.namespaces.into_iter().map(|n| plan(n.nsid, n.uri));
            subsystems.push((subsystem.nqn, planned.collect::<Result<Vec<_>, _>>()?));
        }
        if !args.namespaces.is_empty() {
            let nqn = args.subnqn.clone().unwrap_or_else(|| DEFAULT_NQN.into());
            let planned = args.namespaces.iter().map(|uri| plan(None, uri.clone()));
            subsystems.push((nqn, planned.collect::<Result<Vec<_>, _>>()?));
        }
        if subsystems.iter().all(|(_, namespaces)| namespaces.is_empty()) {
            return Err(Failure::misuse("nothing to export: name a disk, such as mem:1GiB"));
        }
        Ok(Plan {
            traddr: args.traddr.or(file.traddr).unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            trsvcid: args.trsvcid.or(file.trsvcid).unwrap_or(initiator::spec::NVME_PORT),
            transports: if args.transport.is_empty() {
                file.transport
            } else {
                args.transport.clone()
            },
            udp_port: args.udp_port,
            poll: args.poll.or(file.poll).unwrap_or_default(),
            cpu: args.cpu.or(file.cpu),
            pcap: args.pcap.clone().or(file.pcap),
            link: args.link.or(file.link).unwrap_or_default(),
            subsystems,
        })
    }
}

fn plan(nsid: Option<u32>, uri: String) -> Result<PlannedNamespace, Failure> {
    let spec = uri.parse().map_err(|e: storage::SpecError| Failure::misuse(e))?;
    Ok(PlannedNamespace { nsid, uri, spec })
}

/// Parses a configuration file.
pub(crate) fn read(path: &Path) -> Result<File, Failure> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).map_err(|e| Failure::new(format!("{shown}: {e}")))?;
    toml::from_str(&text).map_err(|e| Failure::misuse(format_args!("{shown}: {e}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    fn serve(words: &[&str]) -> Serve {
        let cli = crate::args::Cli::try_parse_from(["flexblk", "serve"].iter().chain(words));
        let crate::args::Command::Serve(serve) = cli.unwrap().command else {
            panic!("not parsed as serve");
        };
        serve
    }

    /// Goal: every example under configs/ means something.
    #[test]
    fn shipped_configurations_parse() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs");
        let mut seen = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|ext| ext == "toml") {
                Plan::new(&serve(&["--config", path.to_str().unwrap()])).unwrap();
                seen += 1;
            }
        }
        assert!(seen > 0, "no configuration found");
    }

    /// Goal: the command line wins over the file, and a typo in the file is refused.
    #[test]
    fn command_line_wins_and_typos_are_refused() {
        let dir = std::env::temp_dir().join(format!("flexblk-config-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let path = dir.join("a.toml");
        std::fs::write(&path, "trsvcid = 1\npoll = \"busy\"\n").unwrap();
        let name = path.to_str().unwrap();
        let plan = Plan::new(&serve(&["--config", name, "-s", "2", "mem:1MiB"])).unwrap();
        assert_eq!((plan.trsvcid, plan.poll), (2, Poll::Busy));
        std::fs::write(&path, "trsvcidd = 1\n").unwrap();
        let error = Plan::new(&serve(&["--config", name])).unwrap_err().to_string();
        assert!(error.contains("trsvcidd"), "{error}");
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
