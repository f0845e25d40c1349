//! The words of a disk's URI: sizes, times, rates, faults, paths.

use super::SpecError;
use crate::DiskStatus;
use crate::layer::{Fault, Kind, Rates, Time, When};
use crate::medium::Direct;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::time::Duration;

/// Octets from `4096`, `64k`, `1GiB` (powers of 1,024, as fio has them) or `1GB` (of 1,000).
///
/// Errors: no number, an unknown unit, or more than 64 bits. A fraction is refused.
pub fn parse_size(text: &str) -> Result<u64, SpecError> {
    let refuse =
        || SpecError(format!("{text:?} is no size: write 4096, 512k, 64MiB, 1GiB or 2TiB"));
    let (number, unit) = split_unit(text);
    let number: u64 = number.parse().map_err(|_| refuse())?;
    let factor = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "t" | "tib" => 1 << 40,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        _ => return Err(refuse()),
    };
    number.checked_mul(factor).ok_or_else(refuse)
}

/// The digits in front, and the rest.
fn split_unit(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    text.split_at(end)
}

pub(super) fn number(name: &str, value: &str) -> Result<u64, SpecError> {
    value.parse().map_err(|_| SpecError(format!("{name}={value}: write a whole number")))
}

pub(super) fn block(value: &str) -> Result<u32, SpecError> {
    match value {
        "512" => Ok(512),
        "4096" | "4k" | "4KiB" => Ok(4096),
        _ => Err(SpecError(format!("block={value}: blocks have 512 or 4096 octets"))),
    }
}

pub(super) fn depth(value: &str) -> Result<u32, SpecError> {
    match value.parse() {
        Ok(depth @ 1..=16_384) => Ok(depth),
        _ => Err(SpecError(format!("depth={value}: write a number from 1 to 16384"))),
    }
}

pub(super) fn direct(value: &str) -> Result<Direct, SpecError> {
    match value {
        "auto" => Ok(Direct::Auto),
        "on" => Ok(Direct::On),
        "off" => Ok(Direct::Off),
        _ => Err(SpecError(format!("direct={value}: write auto, on or off"))),
    }
}

/// `50us`, or `20us-80us` for anything between.
pub(super) fn delay(value: &str) -> Result<Time, SpecError> {
    let Some((min, max)) = value.split_once('-') else {
        return duration(value).map(Time::Fixed);
    };
    let (min, max) = (duration(min)?, duration(max)?);
    if min > max {
        return Err(SpecError(format!("delay={value}: the smaller one comes first")));
    }
    Ok(Time::Random { min, max, seed: 0 })
}

fn duration(text: &str) -> Result<Duration, SpecError> {
    let refuse = || SpecError(format!("{text:?} is no time: write 800ns, 50us, 5ms or 1s"));
    let (number, unit) = split_unit(text);
    let number: u64 = number.parse().map_err(|_| refuse())?;
    let time = match unit {
        "ns" => Duration::from_nanos(number),
        "us" | "µs" => Duration::from_micros(number),
        "ms" => Duration::from_millis(number),
        "s" => Duration::from_secs(number),
        _ => return Err(refuse()),
    };
    let hour = Duration::from_secs(3600);
    if time > hour { Err(SpecError(format!("{text} is longer than an hour"))) } else { Ok(time) }
}

/// `5000iops`, or octets a second as `200MBps` or `200MiBps`.
pub(super) fn rate(text: &str, rates: &mut Rates) -> Result<(), SpecError> {
    let refuse = || SpecError(format!("{text:?} is no rate: write 5000iops, 200MBps or 1GiBps"));
    if let Some(number) = text.strip_suffix("iops") {
        // 20kiops are 20,000, not 20,480.
        let (digits, unit) = split_unit(number);
        let factor = match unit {
            "" => 1,
            "k" => 1_000,
            "M" => 1_000_000,
            _ => return Err(refuse()),
        };
        let digits: u64 = digits.parse().map_err(|_| refuse())?;
        rates.iops = digits.checked_mul(factor).filter(|rate| *rate > 0);
        return rates.iops.map(drop).ok_or_else(refuse);
    }
    let size = text.strip_suffix("ps").or_else(|| text.strip_suffix("/s")).ok_or_else(refuse)?;
    rates.bytes_per_s = parse_size(size).ok().filter(|rate| *rate > 0);
    rates.bytes_per_s.map(drop).ok_or_else(refuse)
}

/// `KIND:WHEN[:STATUS]`.
pub(super) fn fault(value: &str) -> Result<Fault, SpecError> {
    let refuse = |what: &str| {
        SpecError(format!(
            "fail={value}: {what}; write for example fail=read:0.1%, fail=write:7:capacity, \
             fail=flush:every10 or fail=any:from1000"
        ))
    };
    let mut parts = value.split(':');
    let kind = match parts.next() {
        Some("any") => Kind::Any,
        Some("read") => Kind::Read,
        Some("write") => Kind::Write,
        Some("flush") => Kind::Flush,
        Some("compare") => Kind::Compare,
        Some("zeroes") => Kind::WriteZeroes,
        Some("deallocate") => Kind::Deallocate,
        Some("verify") => Kind::Verify,
        _ => return Err(refuse("unknown kind")),
    };
    let when = parts.next().and_then(when).ok_or_else(|| refuse("unknown moment"))?;
    let status = match parts.next() {
        None if matches!(kind, Kind::Read | Kind::Verify | Kind::Compare) => DiskStatus::ReadError,
        None if matches!(kind, Kind::Any) => DiskStatus::Internal,
        None | Some("write-error") => DiskStatus::WriteError,
        Some("read-error") => DiskStatus::ReadError,
        Some("capacity") => DiskStatus::CapacityExceeded,
        Some("internal") => DiskStatus::Internal,
        Some(_) => return Err(refuse("unknown status")),
    };
    match parts.next() {
        None => Ok(Fault { kind, when, status }),
        Some(_) => Err(refuse("too many parts")),
    }
}

fn when(text: &str) -> Option<When> {
    let count = |digits: &str| digits.parse().ok().filter(|n| *n > 0);
    if let Some(percent) = text.strip_suffix('%') {
        return millionths(percent).map(When::Millionths);
    }
    if let Some(digits) = text.strip_prefix("every") {
        return count(digits).map(When::Every);
    }
    if let Some(digits) = text.strip_prefix("from") {
        return count(digits).map(When::From);
    }
    count(text).map(When::Nth)
}

/// Percent with up to four decimals, in millionths.
fn millionths(percent: &str) -> Option<u32> {
    let (whole, decimals) = percent.split_once('.').unwrap_or((percent, ""));
    if decimals.len() > 4 || !decimals.bytes().all(|c| c.is_ascii_digit()) {
        return None;
    }
    let padded = format!("{decimals:0<4}");
    let whole: u32 = whole.parse().ok()?;
    let all = whole.checked_mul(10_000)?.checked_add(padded.parse().ok()?)?;
    (all <= 1_000_000).then_some(all)
}

/// A path with `%XX` for what could not be written otherwise; `//host` is refused.
pub(super) fn path(text: &str) -> Result<PathBuf, SpecError> {
    let text = match text.strip_prefix("//") {
        Some(local) if local.starts_with('/') => local,
        Some(_) => {
            return Err(SpecError(format!(
                "file:{text} names a host: write file:/path or file:path"
            )));
        }
        None => text,
    };
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(octet) = rest.next() {
        if octet != b'%' {
            octets.push(octet);
            continue;
        }
        let digit = |c: Option<u8>| char::from(c?).to_digit(16);
        let value = digit(rest.next()).zip(digit(rest.next())).map(|(high, low)| high * 16 + low);
        let value = value.and_then(|value| u8::try_from(value).ok()).filter(|value| *value != 0);
        let refuse = || SpecError(format!("{text:?}: write %25 for a percent sign in a path"));
        octets.push(value.ok_or_else(refuse)?);
    }
    if octets.is_empty() {
        return Err(SpecError("no path: write file:disk.img".into()));
    }
    Ok(PathBuf::from(OsString::from_vec(octets)))
}
