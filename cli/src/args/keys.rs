//! Secrets for authentication.

use clap::Args;

/// `flexblk gen-dhchap-key`.
#[derive(Args, Debug)]
pub(crate) struct GenDhchapKey {
    /// Make it from this, in hexadecimal digits, and not at random.
    #[arg(short = 's', long, value_name = "HEX")]
    pub secret: Option<String>,
    /// Octets of the key: 32, 48 or 64 [as many as the hash's digests, or 32].
    #[arg(short = 'l', long, value_name = "N")]
    pub key_length: Option<usize>,
    /// Host NQN to bind it to, with --hmac [this machine's].
    #[arg(short = 'n', long)]
    pub nqn: Option<String>,
    /// Hash to bind it with: 0 = none, 1 = SHA-256, 2 = SHA-384, 3 = SHA-512.
    #[arg(short = 'm', long, default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=3))]
    pub hmac: u8,
}

/// `flexblk check-dhchap-key`.
#[derive(Args)]
pub(crate) struct CheckDhchapKey {
    /// The secret [from standard input, where nobody else sees it].
    #[arg(short = 'k', long)]
    pub key: Option<String>,
}

impl std::fmt::Debug for CheckDhchapKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CheckDhchapKey(…)")
    }
}
