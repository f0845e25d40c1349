//! Sizes and times as people write them.

use std::time::Duration;

/// `4096`, `4k`, `128KiB`, `1M`, `1GiB`, `1.5GiB` is not: whole numbers only. k, m, g, t are powers
/// of 1,024, as fio has them; KB, MB, GB, TB are powers of 1,000.
pub(crate) fn bytes(text: &str) -> Result<u64, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let bad = || format!("{text:?} is not a size: write 4096, 4k, 1MiB, 1GiB");
    let number: u64 = number.parse().map_err(|_| bad())?;
    let scale: u64 = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "t" | "tib" => 1 << 40,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        _ => return Err(bad()),
    };
    number.checked_mul(scale).ok_or_else(|| format!("{text:?} is too large"))
}

/// `10`, `0.5`, `10s`: seconds.
pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    let number = text.strip_suffix('s').unwrap_or(text);
    let seconds: f64 =
        number.parse().map_err(|_| format!("{text:?} is not a number of seconds"))?;
    Duration::try_from_secs_f64(seconds).map_err(|_| format!("{text:?} is not a span of time"))
}

/// The same, but not none: measuring for no time measures nothing.
pub(crate) fn some_seconds(text: &str) -> Result<Duration, String> {
    match seconds(text)? {
        Duration::ZERO => Err("a measurement takes some time: write 10 or 0.5".into()),
        time => Ok(time),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: the spellings of fio, dd and people; mistakes are refused, not rounded.
    #[test]
    fn sizes() {
        for (text, size) in [
            ("0", 0),
            ("4096", 4096),
            ("4k", 4096),
            ("4K", 4096),
            ("128KiB", 131_072),
            ("1MB", 1_000_000),
            ("2g", 2 << 30),
            ("1TiB", 1 << 40),
        ] {
            assert_eq!(bytes(text), Ok(size), "{text}");
        }
        for text in ["", "k", "1.5G", "-1", "4q", "99999999TiB"] {
            assert!(bytes(text).is_err(), "{text}");
        }
    }

    /// Goal: fractions of a second are taken, negative spans are not.
    #[test]
    fn times() {
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        assert_eq!(seconds("3s"), Ok(Duration::from_secs(3)));
        assert!(seconds("-1").is_err());
        assert!(seconds("x").is_err());
        assert!(some_seconds("0").is_err());
        assert_eq!(some_seconds("1"), Ok(Duration::from_secs(1)));
    }
}
