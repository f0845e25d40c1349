//! Configuration: `words` (what is written), `model` (what is meant), `mean` and `write` (there and
//! back), `check` (whether it can be had), and here what `flexblk serve` starts with.

pub(crate) mod check;
pub(crate) mod ids;
pub(crate) mod limit;
pub(crate) mod mean;
pub(crate) mod model;
pub(crate) mod nvmetcli;
pub(crate) mod referrals;
pub(crate) mod tls;
pub(crate) mod words;
pub(crate) mod write;

use crate::args::{Cc, DEFAULT_NQN, Offer, Poll, Serve, Transport};
use crate::failure::Failure;
use model::{Listener, Model, Namespace, Subsystem};
use netstack::link::inject::Rule;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use words::File;

/// Where nothing is said: all that can be had.
const ALL_TRANSPORTS: [Transport; 2] = [Transport::Rdma, Transport::Tcp];

/// What `serve` starts with: everything checked, nothing left out.
#[derive(Debug)]
pub(crate) struct Plan {
    /// What is exported, and where.
    pub model: Model,
    /// Somebody said which transports: one that cannot be had is a reason to fail.
    pub transports_are_asked: bool,
    /// UDP port of the transport.
    pub udp_port: u16,
    /// How to wait.
    pub poll: Poll,
    /// CPU to run on.
    pub cpu: Option<usize>,
    /// Record every packet.
    pub pcap: Option<PathBuf>,
    /// What is done to which packets, for tests. Of the command line alone.
    pub inject: Vec<Rule>,
    /// How hosts reach it.
    pub link: Offer,
    /// Congestion control of what it sends by RDMA.
    pub cc: Cc,
    /// What of the file is no part of the model: kept where the model is kept.
    pub fixed: File,
}

impl Plan {
    /// From the command line and the files that it names. The command line wins over a file, and
    /// what was kept in `--state` over what `--config` and the command line export.
    pub(crate) fn new(args: &Serve) -> Result<Plan, Failure> {
        let file = args.config.as_deref().map(read).transpose()?.unwrap_or_default();
        let kept = args.state.as_deref().map(read_kept).transpose()?.flatten();
        let is_kept = kept.is_some();
        let file = kept.unwrap_or(file);
        let mut subsystems =
            mean::subsystems(&file.subsystems, &Model::default()).map_err(Failure::misuse)?;
        if !is_kept && !args.namespaces.is_empty() {
            let (nqn, subsystem) = of_command_line(args);
            if subsystems.insert(nqn.clone(), subsystem).is_some() {
                return Err(Failure::misuse(format_args!("subsystem {nqn:?} exists already")));
            }
        }
        let is_empty = subsystems.values().all(|subsystem| subsystem.namespaces.is_empty());
        if is_empty && args.control.is_none() && args.state.is_none() {
            return Err(Failure::misuse("nothing to export: name a disk, such as mem:1GiB"));
        }
        let (listeners, transports_are_asked) = listeners(args, &file).map_err(Failure::misuse)?;
        if listeners.values().all(|it| it.trtype != Transport::Rdma) {
            if !args.inject.is_empty() {
                return Err(Failure::misuse("--inject hits packets of RDMA: add -t rdma"));
            }
            if args.cc.is_some() {
                let why = "--cc is for RDMA, the kernel has that of TCP: add -t rdma";
                return Err(Failure::misuse(why));
            }
        }
        let referrals = referrals::meant(&file.referrals);
        let mut model = Model { listeners, referrals, subsystems };
        check::whole(&model).map_err(Failure::misuse)?;
        ids::complete(&mut model, seed()).map_err(Failure::misuse)?;
        Ok(Plan {
            model,
            transports_are_asked,
            udp_port: args.udp_port,
            poll: args.poll.or(file.poll).unwrap_or_default(),
            cpu: args.cpu.or(file.cpu),
            pcap: args.pcap.clone().or(file.pcap.clone()),
            inject: args.inject.clone(),
            link: args.link.or(file.link).unwrap_or_default(),
            cc: args.cc.or(file.cc).unwrap_or_default(),
            fixed: File {
                poll: file.poll,
                cpu: file.cpu,
                pcap: file.pcap,
                link: file.link,
                cc: file.cc,
                ..File::default()
            },
        })
    }
    /// Listeners of a transport.
    pub(crate) fn listeners(&self, trtype: Transport) -> impl Iterator<Item = &Listener> {
        self.model.listeners.values().filter(move |listener| listener.trtype == trtype)
    }
}

/// What makes serial numbers and identifiers.
pub(crate) fn seed() -> u64 {
    target::Config::default().seed
}

fn of_command_line(args: &Serve) -> (String, Subsystem) {
    let nqn = args.subnqn.clone().unwrap_or_else(|| DEFAULT_NQN.into());
    let namespaces = (1..).zip(args.namespaces.iter().map(|uri| Namespace::new(uri)));
    (nqn, Subsystem { namespaces: namespaces.collect(), ..Subsystem::default() })
}

/// The listeners, and whether somebody said which transports.
fn listeners(
    args: &Serve,
    file: &File,
) -> Result<(std::collections::BTreeMap<u16, Listener>, bool), String> {
    let none = Model::default();
    let is_given = args.traddr.is_some() || args.trsvcid.is_some() || !args.transport.is_empty();
    let has_list = !file.listeners.is_empty();
    if has_list && !is_given {
        let listeners = mean::listeners_of(file, &[], &none)?;
        return Ok((listeners.unwrap_or_default(), true));
    }
    // One address for all transports, each part of it from the nearest who says it.
    let given = File {
        traddr: args.traddr.or(file.traddr).or(Some(std::net::Ipv4Addr::LOCALHOST.into())),
        trsvcid: args.trsvcid.or(file.trsvcid),
        transport: unique(if args.transport.is_empty() {
            &file.transport
        } else {
            &args.transport
        }),
        ..File::default()
    };
    let is_asked = !given.transport.is_empty();
    let listeners = mean::listeners_of(&given, &ALL_TRANSPORTS, &none)?;
    Ok((listeners.unwrap_or_default(), is_asked))
}

fn unique(transports: &[Transport]) -> Vec<Transport> {
    let mut unique = Vec::new();
    for transport in transports {
        if !unique.contains(transport) {
            unique.push(*transport);
        }
    }
    unique
}

/// Parses a configuration file.
pub(crate) fn read(path: &Path) -> Result<File, Failure> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).map_err(|e| Failure::new(format!("{shown}: {e}")))?;
    File::parse(&text).map_err(|why| Failure::misuse(format_args!("{shown}: {why}")))
}

/// The same of a file that need not be there yet.
fn read_kept(path: &Path) -> Result<Option<File>, Failure> {
    match std::fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Ok(found) if found.len() == 0 => Ok(None),
        _ => read(path).map(Some),
    }
}

#[cfg(test)]
mod tests;
