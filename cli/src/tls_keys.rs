//! Keys for TLS: made, and looked at. `docs/configuration.md`, "TLS".

use crate::failure::Failure;
use crate::keys::{given, material, tell_valid};
use crate::output::print;
use auth::{HashId, TlsKey, TlsPsk};
use clap::Args;
use initiator::identity;
use zeroize::Zeroizing;

/// `flexblk gen-tls-key`.
#[derive(Args)]
pub(crate) struct GenTlsKey {
    /// Make it from this, in hexadecimal digits, and not at random.
    #[arg(short = 's', long, value_name = "HEX")]
    secret: Option<String>,
    /// Hash that binds it to the host when it is used: 0 = none, 1 = SHA-256, 2 = SHA-384.
    #[arg(short = 'm', long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(0..=2))]
    hmac: u8,
}

/// `flexblk check-tls-key`.
#[derive(Args)]
pub(crate) struct CheckTlsKey {
    /// The key [from standard input, where nobody else sees it].
    #[arg(short = 'k', long)]
    key: Option<String>,
    /// Print the identities for this subsystem too.
    #[arg(short = 'c', long, value_name = "NQN")]
    subsysnqn: Option<String>,
    /// Host of the identities [this machine's].
    #[arg(short = 'n', long, value_name = "NQN", requires = "subsysnqn")]
    hostnqn: Option<String>,
    /// Print behind each identity its secret in hexadecimal digits, for other programs.
    #[arg(long, requires = "subsysnqn")]
    show_psk: bool,
}

impl std::fmt::Debug for GenTlsKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("GenTlsKey(…)")
    }
}
impl std::fmt::Debug for CheckTlsKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CheckTlsKey(…)")
    }
}

/// `flexblk gen-tls-key`: the same key as nvme-cli makes of the same words.
pub(crate) fn generate(args: &GenTlsKey) -> Result<(), Failure> {
    let hash = HashId::from_octet(args.hmac);
    let length = hash.map_or(32, HashId::digest_bytes);
    let material = material(args.secret.as_deref(), length)?;
    let key = TlsKey::new(&material, hash).map_err(Failure::misuse)?;
    print(key.text().as_str())
}

/// `flexblk check-tls-key`.
pub(crate) fn check(args: &CheckTlsKey) -> Result<(), Failure> {
    let key: TlsKey = given(args.key.as_deref())?.parse()?;
    tell_valid(key.transform(), key.key_bytes(), key.crc())?;
    let Some(subsystem) = &args.subsysnqn else { return Ok(()) };
    let host = args.hostnqn.clone().unwrap_or_else(|| identity::host(None).0);
    for psk in key.psks(&host, subsystem) {
        print(line(&psk, args.show_psk).as_str())?;
    }
    Ok(())
}

fn line(psk: &TlsPsk, with_secret: bool) -> Zeroizing<String> {
    let mut line = Zeroizing::new(psk.identity.clone());
    if with_secret {
        line.push('\t');
        psk.secret.iter().for_each(|octet| line.push_str(&format!("{octet:02x}")));
    }
    line
}
