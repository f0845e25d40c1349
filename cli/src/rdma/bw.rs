//! `flexblk rdma-bw`: perftest's bandwidth tests.

use super::{reaching, run_tool, serving};
use crate::args::Format;
use crate::args::rdma::{AtomicType, BwVerb, RdmaBw};
use crate::failure::Failure;
use crate::output::print;
use ::bench::rdma::bw::{
    BYTES_MAX, BwClient, BwParams, BwReport, BwServer, BwServerParams, Goal, Verb,
};
use netstack::link::Link;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Serves one client, or measures; both print.
pub(crate) fn run(args: &RdmaBw) -> Result<(), Failure> {
    let bytes = u32::try_from(args.size).ok().filter(|bytes| (1..=BYTES_MAX).contains(bytes));
    let bytes = bytes.ok_or_else(|| Failure::misuse(format!("-s: 1 to {BYTES_MAX} octets")))?;
    match args.server {
        Some(server) => measure(args, bytes, SocketAddr::new(server, args.port)),
        None => serve(args, bytes),
    }
}

fn verb(args: &RdmaBw) -> Verb {
    match (args.verb, args.atomic) {
        (BwVerb::Send, _) => Verb::Send,
        (BwVerb::Write, _) => Verb::Write,
        (BwVerb::Read, _) => Verb::Read,
        (BwVerb::Atomic, AtomicType::FetchAndAdd) => Verb::FetchAdd,
        (BwVerb::Atomic, AtomicType::CmpAndSwap) => Verb::CompareSwap,
    }
}

fn serve(args: &RdmaBw, bytes: u32) -> Result<(), Failure> {
    let address = args.source.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let mut nic = serving(address, "--bind_source_ip", &args.way)?;
    let path_mtu_bytes = nic.link().caps().path_mtu_bytes;
    let (verb, port, receives, outs) = (verb(args), args.port, args.rx_depth, args.outs);
    let params = BwServerParams { verb, bytes, port, address, path_mtu_bytes, receives, outs };
    let mut server = BwServer::new(params);
    let test = verb.name();
    print(format_args!(
        "listening on {address} port {port}; a Linux host: ib_{test}_bw -R -p {port} -s {bytes} {address}"
    ))?;
    run_tool(&mut nic, &mut server, &args.way)?;
    show(args, server.report())
}

fn measure(args: &RdmaBw, bytes: u32, to: SocketAddr) -> Result<(), Failure> {
    let mut nic = reaching(to, args.source, &args.way)?;
    let caps = *nic.link().caps();
    let mut client = BwClient::new(BwParams {
        verb: verb(args),
        bytes,
        to,
        address: caps.local.ip(),
        path_mtu_bytes: caps.path_mtu_bytes,
        goal: args.duration.map_or(Goal::Iterations(args.iters), Goal::Time),
        depth: args.tx_depth,
        outs: args.outs,
    });
    run_tool(&mut nic, &mut client, &args.way)?;
    show(args, client.report().as_ref())
}

fn show(args: &RdmaBw, report: Option<&BwReport>) -> Result<(), Failure> {
    let report = report.ok_or_else(|| Failure::new("interrupted before the end of the test"))?;
    if args.way.output == Format::Json {
        return print(serde_json::to_string_pretty(report)?);
    }
    let by = if report.measured == "here" { "" } else { ", as the client measured" };
    print(format_args!("{} over {}{by}", report.verb, report.wire))?;
    print("#bytes     #iterations    BW peak[MiB/sec]    BW average[MiB/sec]   MsgRate[Mpps]")?;
    print(format_args!(
        "{:<10} {:<14} {:<19.2} {:<21.2} {:.6}",
        report.bytes,
        report.iterations,
        report.bw_peak_mib_per_s,
        report.bw_average_mib_per_s,
        report.msg_rate_mpps
    ))
}
