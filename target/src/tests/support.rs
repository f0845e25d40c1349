//! The page that says what is served is true.

use super::World;
use super::admin::log;
use super::identify::identify;
use wire::fabrics::{PropertyGetCmd, PropertySize};
use wire::nvme::log::{CommandEffects, LogId, SupportedLogPages};
use wire::nvme::{Cid, FeatureCmd, FeatureId, GetLogPageCmd, Nsid, Sqe, Status};

const PAGE: &str = include_str!("../../../docs/nvme-support.md");

/// Code, name, and what the page says of it.
struct Row {
    code: u8,
    name: &'static str,
    io: bool,
    discovery: bool,
}

/// Rows of the table under `heading`.
fn rows(heading: &str) -> Vec<Row> {
    let section = PAGE.split("\n## ").find(|section| section.starts_with(heading)).unwrap();
    let rows: Vec<Row> = section.lines().filter_map(row).collect();
    assert!(!rows.is_empty() && rows.is_sorted_by_key(|row| row.code), "{heading}");
    rows
}
fn row(line: &'static str) -> Option<Row> {
    let cells: Vec<&str> = line.strip_prefix("| ")?.split(" | ").collect();
    let code = u8::from_str_radix(cells.first()?.strip_suffix('h')?, 16).ok()?;
    let (io, discovery) = match cells[2] {
        "yes" => (true, false),
        "discovery" => (false, true),
        "both" => (true, true),
        "no" => (false, false),
        other => panic!("{line}: {other}?"),
    };
    Some(Row { code, name: cells[1], io, discovery })
}
/// What the page says of every code; those without a row are not served.
fn served(heading: &str) -> Vec<bool> {
    let rows = rows(heading);
    (0..=255).map(|code| rows.iter().any(|row| row.code == code && row.io)).collect()
}

/// Goal: commands are served as the page and the effects log say, and all others are unknown.
#[test]
fn commands_are_as_the_page_says() {
    let mut world = World::new();
    let mut host = world.connected(1, 4);
    let effects = log(&mut host, &mut world, LogId::Effects, 0, 4096);
    let effects = CommandEffects::decode(&effects).unwrap();
    let (admin, io) = (served("Admin commands"), served("I/O commands"));
    for code in 0..=255u8 {
        let at = usize::from(code);
        assert_eq!(effects.admin(code).is_supported(), admin[at], "admin {code:#x}");
        assert_eq!(effects.io(code).is_supported(), io[at], "I/O {code:#x}");
        // Event requests are answered later; Fabrics commands have a table of their own.
        for (queue, is_served) in [(0, admin[at]), (1, io[at])] {
            if code == 0x7f || (queue, code) == (0, 0x0c) {
                continue;
            }
            let sqe = Sqe::new(code, Cid(0), Nsid(1));
            let status = host.execute(&mut world, queue, sqe, &[]).status();
            assert_eq!(!status.is(Status::INVALID_OPCODE), is_served, "{queue} {code:#x}");
        }
    }
}

/// Goal: log pages and features likewise.
#[test]
fn pages_and_features_are_as_the_page_says() {
    let mut world = World::new();
    let mut host = world.connected(0, 0);
    let listed = log(&mut host, &mut world, LogId::SupportedPages, 0, 1024);
    let listed = SupportedLogPages::decode(&listed).unwrap();
    let effects = log(&mut host, &mut world, LogId::FeatureEffects, 0, 1024);
    let (pages, features) = (served("Log pages"), served("Features"));
    for code in 0..=255u8 {
        let at = usize::from(code);
        assert_eq!(listed.contains(code), pages[at], "page {code:#x}");
        assert_eq!(effects[4 * at] & 1 == 1, features[at], "feature {code:#x}");
        let mut capabilities = FeatureCmd::get(FeatureId(code), Cid(0), Nsid(1));
        capabilities.set_cdw10(capabilities.cdw10() | 3 << 8);
        let cqe = host.execute(&mut world, 0, capabilities, &[]);
        // A memory disk has no cache to switch off.
        let expected = features[at] && FeatureId(code) != FeatureId::VOLATILE_WRITE_CACHE;
        assert_eq!(cqe.status().is_success(), expected, "feature {code:#x}");
        let of_namespace = u32::from(effects[4 * at + 2] >> 4 & 1);
        assert!(!expected || cqe.dw0() >> 1 & 1 == of_namespace, "feature {code:#x}");
    }
}

/// Goal: Identify structures and properties likewise.
#[test]
fn structures_and_properties_are_as_the_page_says() {
    let mut world = World::new();
    let mut host = world.connected(0, 0);
    let structures = served("Identify structures");
    for code in 0..=255u8 {
        let answered = identify(&mut host, &mut world, code, 1).is_ok();
        assert_eq!(answered, structures[usize::from(code)], "CNS {code:#x}");
    }
    for row in rows("Properties") {
        let get = |size| PropertyGetCmd { size, offset: u32::from(row.code) }.command(Cid(0));
        let answered = [PropertySize::Four, PropertySize::Eight]
            .map(|size| host.execute(&mut world, 0, get(size), &[]).status().is_success());
        assert_eq!(answered.contains(&true), row.io, "{}", row.name);
    }
}

/// Goal: a discovery controller serves what the page says of it.
#[test]
fn discovery_is_as_the_page_says() {
    let mut world = World::new();
    let mut host = world.host();
    host.connect_admin(&mut world, crate::DISCOVERY_NQN);
    host.enable(&mut world);
    for row in rows("Log pages") {
        let command = GetLogPageCmd { lid: row.code, ..GetLogPageCmd::default() };
        let sqe = host.with_answer(command.command(Cid(0), Nsid(0)), 4);
        let answered = host.execute(&mut world, 0, sqe, &[]).status().is_success();
        assert_eq!(answered, row.discovery, "{}", row.name);
    }
    for row in rows("Features") {
        let sqe = FeatureCmd::get(FeatureId(row.code), Cid(0), Nsid(0));
        let answered = host.execute(&mut world, 0, sqe, &[]).status().is_success();
        assert_eq!(answered, row.discovery, "{}", row.name);
    }
    for row in rows("Identify structures") {
        let answered = identify(&mut host, &mut world, row.code, 0).is_ok();
        assert_eq!(answered, row.discovery, "{}", row.name);
    }
    for row in rows("Admin commands").iter().filter(|row| row.code != 0x0c) {
        let status = host.execute(&mut world, 0, Sqe::new(row.code, Cid(0), Nsid(0)), &[]).status();
        assert_eq!(!status.is(Status::INVALID_OPCODE), row.discovery, "{}", row.name);
    }
}
