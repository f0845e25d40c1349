//! `flexblk rdma-ping`: rping.

use super::{reaching, run_tool, serving};
use crate::args::Format;
use crate::args::rdma::RdmaPing;
use crate::failure::Failure;
use crate::output::print;
use ::bench::rdma::ping::{PingClient, PingParams, PingReport, PingServer, PingServerParams};
use std::net::SocketAddr;

/// Serves, or pings and prints.
pub(crate) fn run(args: &RdmaPing) -> Result<(), Failure> {
    if args.server { serve(args) } else { ping(args) }
}

fn serve(args: &RdmaPing) -> Result<(), Failure> {
    let mut nic = serving(args.address, "-a", &args.way)?;
    let (is_persistent, is_verbose) = (args.persistent, args.verbose);
    let mut server =
        PingServer::new(PingServerParams { port: args.port, is_persistent, is_verbose });
    let (addr, port) = (args.address, args.port);
    print(format_args!(
        "listening on {addr} port {port}; a Linux host: rping -c -a {addr} -p {port}"
    ))?;
    run_tool(&mut nic, &mut server, &args.way)?;
    print(format_args!("{} pings served", server.pings()))
}

fn ping(args: &RdmaPing) -> Result<(), Failure> {
    let to = SocketAddr::new(args.address, args.port);
    let mut nic = reaching(to, args.source, &args.way)?;
    let mut client = PingClient::new(PingParams {
        to,
        count: args.count,
        bytes: args.size,
        validates: args.validate,
        is_verbose: args.verbose,
    });
    run_tool(&mut nic, &mut client, &args.way)?;
    let report = client.report();
    if args.way.output == Format::Json {
        return print(serde_json::to_string_pretty(&report)?);
    }
    print(text(&report))
}

fn text(report: &PingReport) -> String {
    let PingReport { pings, bytes, wire, .. } = report;
    let compared = if report.is_validated { ", all compared" } else { "" };
    format!(
        "{pings} pings of {bytes} octets over {wire}{compared}\n\
         latency µs: min {:.1}, mean {:.1}, p50 {:.1}, p99 {:.1}, p99.9 {:.1}, max {:.1}",
        report.min_us, report.mean_us, report.p50_us, report.p99_us, report.p999_us, report.max_us
    )
}
