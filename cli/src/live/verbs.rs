//! Commands about a running target: what was typed, asked for, and printed.

use super::client::ask;
use super::edit::Edit;
use super::protocol::{Noun as Kind, Request, Response, Row};
use super::rows::columns;
use crate::args::Format;
use crate::args::live::{
    AnaVerb, Apply, ConfigVerb, ConnectionVerb, Control, Foreign, HostVerb, ListenerVerb,
    NamespaceVerb, Noun, ReferralVerb, SubsystemVerb,
};
use crate::config::limit::Limit;
use crate::config::{nvmetcli, referrals, words};
use crate::failure::Failure;
use crate::output::print;
use serde_json::{Value, json};
use std::path::Path;

/// `flexblk apply`.
pub(crate) fn apply(args: &Apply) -> Result<(), Failure> {
    let config = read(&args.file)?;
    // Told with the file's name, before the target is asked.
    words::File::parse(&config)
        .map_err(|why| Failure::misuse(format_args!("{}: {why}", args.file.display())))?;
    done(&args.control, &Request::Apply { config, dry_run: args.dry_run }, args.dry_run)
}

fn read(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|why| Failure::new(format!("{}: {why}", path.display())))
}

/// `flexblk config`.
pub(crate) fn config(args: &Noun<ConfigVerb>) -> Result<(), Failure> {
    let control = &args.control;
    let text = match &args.verb {
        ConfigVerb::Show => {
            ask(control.control.as_deref(), &Request::Show)?.config.unwrap_or_default()
        }
        ConfigVerb::Import { from: Foreign::Nvmetcli, file } => {
            let imported = nvmetcli::import(&read(file)?)
                .map_err(|why| Failure::misuse(format_args!("{}: {why}", file.display())))?;
            for left_out in &imported.left_out {
                eprintln!("flexblk: not imported: {left_out}");
            }
            imported.file.text()
        }
    };
    match control.output {
        Format::Normal => print(text.trim_end()),
        Format::Json => {
            let file = words::File::parse(&text).map_err(Failure::new)?;
            print(serde_json::to_string_pretty(&file)?)
        }
    }
}

/// `flexblk subsystem`.
pub(crate) fn subsystem(args: &Noun<SubsystemVerb>) -> Result<(), Failure> {
    let edit = match &args.verb {
        SubsystemVerb::List => return list(&args.control, Kind::Subsystem),
        SubsystemVerb::Remove { nqn } => Edit::RemoveSubsystem { nqn: nqn.clone() },
        SubsystemVerb::Add { nqn, serial, model, hosts } => {
            Edit::AddSubsystem(Box::new(words::Subsystem {
                nqn: nqn.clone(),
                serial: serial.clone(),
                model: model.clone(),
                allowed_hosts: some(hosts),
                ..words::Subsystem::default()
            }))
        }
    };
    edited(&args.control, edit)
}

/// `flexblk namespace`.
pub(crate) fn namespace(args: &Noun<NamespaceVerb>) -> Result<(), Failure> {
    let edit = match &args.verb {
        NamespaceVerb::List => return list(&args.control, Kind::Namespace),
        NamespaceVerb::Remove { nsid, nqn } => {
            Edit::RemoveNamespace { nqn: nqn.clone(), nsid: *nsid }
        }
        NamespaceVerb::Resize { nsid, size, nqn } => {
            let octets = match size.as_str() {
                "max" => None,
                size => Some(crate::units::bytes(size).map_err(Failure::misuse)?),
            };
            Edit::ResizeNamespace { nqn: nqn.clone(), nsid: *nsid, octets }
        }
        NamespaceVerb::Set { nsid, nqn, read_only, ana_group, hosts } => Edit::SetNamespace {
            nqn: nqn.clone(),
            nsid: *nsid,
            read_only: *read_only,
            ana_group: *ana_group,
            hosts: some(hosts),
        },
        NamespaceVerb::SetLimit { nsid, nqn, limit } => {
            Edit::SetLimit { nqn: nqn.clone(), nsid: *nsid, limit: *limit }
        }
        NamespaceVerb::Add {
            uri,
            nqn,
            nsid,
            size,
            uuid,
            nguid,
            eui64,
            read_only,
            ana_group,
            hosts,
        } => {
            let namespace = words::Namespace {
                nsid: *nsid,
                uri: uri.clone(),
                size: size.clone(),
                uuid: uuid.clone(),
                nguid: nguid.clone(),
                eui64: eui64.clone(),
                read_only: *read_only,
                ana_group: *ana_group,
                hosts: some(hosts),
                limit: Limit::default(),
            };
            Edit::AddNamespace { nqn: nqn.clone(), namespace: Box::new(namespace) }
        }
    };
    edited(&args.control, edit)
}

fn some(hosts: &[String]) -> Option<Vec<String>> {
    Some(hosts.to_vec()).filter(|hosts| !hosts.is_empty())
}

/// `flexblk listener`.
pub(crate) fn listener(args: &Noun<ListenerVerb>) -> Result<(), Failure> {
    let edit = match &args.verb {
        ListenerVerb::List => return list(&args.control, Kind::Listener),
        ListenerVerb::Remove { portid } => Edit::RemoveListener { portid: *portid },
        ListenerVerb::Add { transport, traddr, trsvcid, portid, discovery, tls } => {
            Edit::AddListener(words::Listener {
                portid: *portid,
                trtype: *transport,
                traddr: *traddr,
                trsvcid: *trsvcid,
                discovery: *discovery,
                tls: *tls,
            })
        }
    };
    edited(&args.control, edit)
}

/// `flexblk referral`.
pub(crate) fn referral(args: &Noun<ReferralVerb>) -> Result<(), Failure> {
    let edit = match &args.verb {
        ReferralVerb::List => return list(&args.control, Kind::Referral),
        ReferralVerb::Add { place, subnqn } => Edit::AddReferral(referrals::Word {
            trtype: place.transport,
            traddr: place.traddr,
            trsvcid: place.trsvcid,
            subnqn: subnqn.clone(),
        }),
        ReferralVerb::Remove { place } => Edit::RemoveReferral {
            trtype: place.transport,
            traddr: place.traddr,
            trsvcid: place.trsvcid,
        },
    };
    edited(&args.control, edit)
}

/// `flexblk host`.
pub(crate) fn host(args: &Noun<HostVerb>) -> Result<(), Failure> {
    let edit = match &args.verb {
        HostVerb::List => return list(&args.control, Kind::Host),
        HostVerb::Add { host, nqn } => Edit::AddHost { nqn: nqn.clone(), host: host.clone() },
        HostVerb::SetLimit { host, nqn, limit } => {
            Edit::SetHostLimit { nqn: nqn.clone(), host: host.clone(), limit: *limit }
        }
        HostVerb::Remove { host, nqn } => Edit::RemoveHost { nqn: nqn.clone(), host: host.clone() },
    };
    edited(&args.control, edit)
}

/// `flexblk connection`.
pub(crate) fn connection(args: &Noun<ConnectionVerb>) -> Result<(), Failure> {
    let ConnectionVerb::List = args.verb;
    list(&args.control, Kind::Connection)
}

/// `flexblk ana`.
pub(crate) fn ana(args: &Noun<AnaVerb>) -> Result<(), Failure> {
    let AnaVerb::Set { grpid, state, portid, nqn } = &args.verb;
    let group = words::AnaGroup { grpid: *grpid, portid: *portid, state: *state };
    edited(&args.control, Edit::SetAna { nqn: nqn.clone(), group })
}

fn edited(control: &Control, edit: Edit) -> Result<(), Failure> {
    done(control, &Request::Edit(edit), false)
}

/// Asks, and prints what changed.
fn done(control: &Control, request: &Request, dry_run: bool) -> Result<(), Failure> {
    let Response { plan, notes, .. } = ask(control.control.as_deref(), request)?;
    if control.output == Format::Json {
        let outcome = json!({ "plan": plan, "notes": notes, "applied": !dry_run });
        return print(serde_json::to_string_pretty(&outcome)?);
    }
    for line in &plan {
        print(format_args!("{} {}", line.sign, line.what))?;
    }
    notes.iter().for_each(|note| eprintln!("flexblk: {note}"));
    match (plan.len(), dry_run) {
        (0, _) => print("nothing to change"),
        (count, true) => print(format_args!("{count} to change; nothing was changed")),
        (count, false) => print(format_args!("{count} changed")),
    }
}

fn list(control: &Control, kind: Kind) -> Result<(), Failure> {
    let rows = ask(control.control.as_deref(), &Request::List(kind))?.rows;
    let (name, columns) = columns(kind);
    if control.output == Format::Json {
        return print(serde_json::to_string_pretty(&json!({ name: rows }))?);
    }
    table(columns, &rows)
}

/// Columns as wide as what is in them, the last one as it is.
fn table(columns: &[&str], rows: &[Row]) -> Result<(), Failure> {
    let text = |row: &Row, column: &str| match row.get(column) {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Object(words)) => {
            let words = words.iter().map(|(word, value)| format!("{word}={value}"));
            words.collect::<Vec<_>>().join(",")
        }
        Some(other) => other.to_string(),
    };
    let heads = columns.iter().map(|column| (*column).to_owned()).collect();
    let cells = rows.iter().map(|row| columns.iter().map(|column| text(row, column)).collect());
    let lines: Vec<Vec<String>> = std::iter::once(heads).chain(cells).collect();
    let width = |at: usize| lines.iter().map(|line| line[at].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    for line in &lines {
        let padded = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        print(padded.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    Ok(())
}
