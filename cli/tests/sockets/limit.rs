//! A namespace's limit, set while it is used.

use crate::server::{NQN, Server};

/// Commands a second that `flexblk bench` reaches in two seconds.
fn rate(server: &Server) -> f64 {
    let target = format!("trtype=tcp traddr={} subnqn={NQN}", server.address);
    let load =
        ["--rw", "randread", "--iodepth", "16", "--time", "2", "--ramp", "0.5", "-o", "json"];
    let report = server.ask(&["bench", &target], &load);
    let at = report.find("\"iops\":").unwrap() + 7;
    let number = report[at..].split([',', '}', '\n']).next().unwrap();
    number.trim().parse().unwrap()
}

/// Goal: a limit holds as soon as it is set, is written down, and goes as it came.
#[test]
fn limits_are_set_while_hosts_work() {
    let server = Server::start("127.0.97.5");
    let free = rate(&server);
    let plan = server.control(&["namespace", "set-limit", "1", "--rw-ios-per-sec", "2000"]);
    assert!(plan.contains("at most 2000 commands/s"), "{plan}");
    let limited = rate(&server);
    assert!((1700.0..=2150.0).contains(&limited), "{limited} commands a second, {free} before");
    assert!(server.control(&["config", "show"]).contains("rw_ios_per_sec = 2000"));
    server.control(&["namespace", "set-limit", "1"]);
    assert!(!server.control(&["config", "show"]).contains("limit"));
    let free = rate(&server);
    println!("{limited} commands a second with a limit of 2000, {free} without");
    assert!(free > 4000.0, "{free} commands a second without a limit");
}
