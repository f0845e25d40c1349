//! Secrets for authentication: made, looked at, and taken from the command line.

use crate::args::{CheckDhchapKey, GenDhchapKey, Secrets};
use crate::failure::Failure;
use crate::output::print;
use auth::{HashId, Secret, TlsKey, system_random};
use initiator::{TargetSpec, identity};
use zeroize::Zeroizing;

/// `flexblk gen-dhchap-key`: the same secret as nvme-cli makes of the same words.
pub(crate) fn generate(args: &GenDhchapKey) -> Result<(), Failure> {
    let hash = HashId::from_octet(args.hmac);
    let length = args.key_length.unwrap_or(hash.map_or(32, HashId::digest_bytes));
    if args.secret.is_none() && length > 64 {
        return Err(Failure::misuse("--key-length: 32, 48 or 64"));
    }
    let material = material(args.secret.as_deref(), length)?;
    if args.key_length.is_some_and(|length| length != material.len()) {
        return Err(Failure::misuse("--key-length: not that of --secret"));
    }
    let nqn = match (&args.nqn, hash) {
        (Some(nqn), _) => nqn.clone(),
        (None, Some(_)) => identity::host(None).0,
        (None, None) => String::new(),
    };
    let secret = Secret::generate(&material, hash, &nqn).map_err(Failure::misuse)?;
    print(secret.text().as_str())
}

/// `flexblk check-dhchap-key`.
pub(crate) fn check(args: &CheckDhchapKey) -> Result<(), Failure> {
    let secret: Secret = given(args.key.as_deref())?.parse()?;
    tell_valid(secret.transform(), secret.key_bytes(), secret.crc())
}

/// Takes what was given on the command line into `spec`.
pub(crate) fn set(spec: &mut TargetSpec, secrets: &Secrets) -> Result<(), Failure> {
    // The value itself is not told.
    let parse = |option: &str, text: &Option<String>| {
        let secret = text.as_deref().map(str::parse::<Secret>).transpose();
        secret.map_err(|why| Failure::misuse(format_args!("{option}: {why}")))
    };
    if let Some(secret) = parse("--dhchap-secret", &secrets.dhchap_secret)? {
        spec.dhchap_secret = Some(secret);
    }
    if let Some(secret) = parse("--dhchap-ctrl-secret", &secrets.dhchap_ctrl_secret)? {
        spec.dhchap_ctrl_secret = Some(secret);
    }
    spec.concat |= secrets.concat;
    if let Some(text) = &secrets.tls_key {
        let key = text.parse::<TlsKey>();
        spec.tls_key = Some(key.map_err(|why| Failure::misuse(format_args!("--tls-key: {why}")))?);
    }
    Ok(())
}

/// What a key is made of: these hexadecimal digits, or `length` octets at random.
pub(crate) fn material(hex: Option<&str>, length: usize) -> Result<Zeroizing<Vec<u8>>, Failure> {
    if let Some(hex) = hex {
        return octets(hex);
    }
    let mut material = Zeroizing::new(vec![0; length]);
    system_random(&mut material);
    Ok(material)
}

/// The key on the command line, or a line of standard input, where nobody else sees it.
pub(crate) fn given(key: Option<&str>) -> Result<Zeroizing<String>, Failure> {
    let mut line = Zeroizing::new(key.unwrap_or_default().to_owned());
    if key.is_none() {
        std::io::stdin().read_line(&mut line)?;
    }
    Ok(line)
}

/// Says of a key what is not secret.
pub(crate) fn tell_valid(hash: Option<HashId>, length: usize, crc: u32) -> Result<(), Failure> {
    let hmac = hash.map_or(0, HashId::octet);
    print(format_args!("Key is valid (HMAC {hmac}, length {length}, CRC {crc:08x})"))
}

/// Octets from hexadecimal digits.
fn octets(hex: &str) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let bad = || Failure::misuse("--secret: hexadecimal digits, two for each octet");
    if !hex.is_ascii() || !hex.len().is_multiple_of(2) {
        return Err(bad());
    }
    let pairs = (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16));
    pairs.collect::<Result<Vec<_>, _>>().map(Zeroizing::new).map_err(|_| bad())
}
