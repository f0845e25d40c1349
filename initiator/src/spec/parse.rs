//! From text to a [`TargetSpec`].

use super::{LinkChoice, NVME_PORT, TargetSpec, Transport, WireMode};
use auth::Secret;
use netstack::endpoint::CcKind;
use std::net::{IpAddr, SocketAddr};

/// Paths besides the first, at most.
const PATHS_MAX: usize = 15;

pub(super) fn words(text: &str) -> Result<TargetSpec, String> {
    let mut spec = TargetSpec::port(IpAddr::from([0, 0, 0, 0]), NVME_PORT);
    let mut has_addr = false;
    for word in text.split_whitespace() {
        let Some((key, value)) = word.split_once('=') else {
            return Err(format!("{word:?} is not KEY=VALUE"));
        };
        has_addr |= key == "traddr";
        set(&mut spec, key, value)?;
    }
    if !has_addr {
        return Err("traddr= is missing".into());
    }
    Ok(spec)
}

fn set(spec: &mut TargetSpec, key: &str, value: &str) -> Result<(), String> {
    let bad = |what: &str| format!("{key}={value}: {what}");
    match key.to_ascii_lowercase().as_str() {
        "trtype" | "transport" => {
            spec.transport = transport(value).ok_or(bad("rdma or tcp"))?;
        }
        "hdgst" => spec.header_digest = switch(value).ok_or(bad("on or off"))?,
        "ddgst" => spec.data_digest = switch(value).ok_or(bad("on or off"))?,
        "adrfam" => {}
        "traddr" => spec.traddr = value.parse().map_err(|_| bad("not an IP address"))?,
        "trsvcid" => spec.trsvcid = value.parse().map_err(|_| bad("not a port number"))?,
        "path" => {
            let (addr, port) = split_port(value).map_err(|why| bad(&why))?;
            if spec.paths.len() >= PATHS_MAX {
                return Err(bad("too many paths"));
            }
            spec.paths.push(SocketAddr::new(addr, port));
        }
        "subnqn" | "nqn" => spec.subnqn = Some(value.into()),
        "hostaddr" => spec.hostaddr = Some(value.parse().map_err(|_| bad("not an IP address"))?),
        "hostnqn" => spec.hostnqn = Some(value.into()),
        "dhchap_secret" => spec.dhchap_secret = Some(secret(key, value)?),
        "dhchap_ctrl_secret" => spec.dhchap_ctrl_secret = Some(secret(key, value)?),
        "tls_key" => {
            spec.tls_key = Some(value.parse().map_err(|why| format!("{key}=…: {why}"))?);
        }
        "concat" => spec.concat = switch(value).ok_or(bad("on or off"))?,
        "ns" | "nsid" => {
            spec.nsid = value.parse().ok().filter(|&n| n > 0).ok_or(bad("not a namespace id"))?;
        }
        "mode" => {
            spec.mode = match value {
                "native" => WireMode::Native,
                "roce" => WireMode::Roce,
                _ => return Err(bad("native or roce")),
            }
        }
        "cc" => {
            let names = || format!("one of {}", CcKind::NAMES.join(", "));
            spec.cc = Some(CcKind::named(value).ok_or_else(|| bad(&names()))?);
        }
        "link" => {
            spec.link = match value {
                "auto" => LinkChoice::Auto,
                "udp" => LinkChoice::Udp,
                "shm" => LinkChoice::Shm,
                "raw" => LinkChoice::Raw,
                _ => return Err(bad("auto, udp, shm or raw")),
            }
        }
        _ => return Err(format!("{key}= is not known")),
    }
    Ok(())
}

/// The value itself is not told.
fn secret(key: &str, value: &str) -> Result<Secret, String> {
    value.parse().map_err(|why| format!("{key}=…: {why}"))
}

fn transport(word: &str) -> Option<Transport> {
    match word.to_ascii_lowercase().as_str() {
        "rdma" => Some(Transport::Rdma),
        "tcp" => Some(Transport::Tcp),
        _ => None,
    }
}

fn switch(word: &str) -> Option<bool> {
    match word {
        "on" => Some(true),
        "off" => Some(false),
        _ => None,
    }
}

pub(super) fn uri(scheme: &str, rest: &str) -> Result<TargetSpec, String> {
    let transport = scheme.strip_prefix("nvme-").and_then(transport);
    let transport = transport.ok_or(format!("{scheme}:// is not spoken"))?;
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (host, port) = split_port(authority)?;
    let mut spec = TargetSpec::port(host, port);
    spec.transport = transport;
    let mut parts = path.splitn(2, '/');
    if let Some(nqn) = parts.next().filter(|nqn| !nqn.is_empty()) {
        spec.subnqn = Some(nqn.into());
    }
    if let Some(nsid) = parts.next().filter(|n| !n.is_empty()) {
        set(&mut spec, "nsid", nsid)?;
    }
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').ok_or(format!("{pair:?} is not KEY=VALUE"))?;
        set(&mut spec, key, value)?;
    }
    Ok(spec)
}

/// `1.2.3.4`, `1.2.3.4:4420`, `[::1]`, `[::1]:4420`.
fn split_port(authority: &str) -> Result<(IpAddr, u16), String> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest.split_once(']').ok_or("missing ]")?;
            (host, after.strip_prefix(':'))
        }
        None => match authority.rsplit_once(':') {
            Some((host, port)) if !host.contains(':') => (host, Some(port)),
            _ => (authority, None),
        },
    };
    let addr = host.parse().map_err(|_| format!("{host:?} is not an IP address"))?;
    let port = match port {
        Some(port) => port.parse().map_err(|_| format!("{port:?} is not a port number"))?,
        None => NVME_PORT,
    };
    Ok((addr, port))
}
