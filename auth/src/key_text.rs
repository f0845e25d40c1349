//! The text that keys of both kinds are written in: a prefix, two digits that name a hash, and
//! `base64(key ‖ CRC-32)`, each with a colon behind it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use wire::fabrics::auth::HashId;
use zeroize::Zeroizing;

const CRC_BYTES: usize = 4;

/// What such a text says. Whether the key's length goes with the hash is the caller's to tell.
pub(crate) struct KeyText {
    pub(crate) transform: Option<HashId>,
    pub(crate) key: Zeroizing<Vec<u8>>,
    /// The CRC at its end is the key's.
    pub(crate) crc_fits: bool,
}

/// Why a text is none.
pub(crate) enum Fault {
    Form,
    Transform,
    Base64,
}

pub(crate) fn emit(prefix: &str, transform: Option<HashId>, key: &[u8]) -> Zeroizing<String> {
    let mut octets = Zeroizing::new(key.to_vec());
    octets.extend_from_slice(&crc32fast::hash(key).to_le_bytes());
    let encoded = Zeroizing::new(STANDARD.encode(&octets));
    let digits = transform.map_or(0, HashId::octet);
    Zeroizing::new(format!("{prefix}{digits:02x}:{}:", encoded.as_str()))
}

pub(crate) fn parse(prefix: &str, text: &str) -> Result<KeyText, Fault> {
    let rest = text.trim().strip_prefix(prefix).ok_or(Fault::Form)?;
    let (digits, rest) = rest.split_once(':').ok_or(Fault::Form)?;
    let encoded = rest.strip_suffix(':').ok_or(Fault::Form)?;
    let transform = match digits {
        "00" => None,
        "01" => Some(HashId::Sha256),
        "02" => Some(HashId::Sha384),
        "03" => Some(HashId::Sha512),
        _ => return Err(Fault::Transform),
    };
    let octets = STANDARD.decode(encoded).map_err(|_| Fault::Base64)?;
    let mut key = Zeroizing::new(octets);
    let Some((body, crc)) = key.split_last_chunk::<CRC_BYTES>() else {
        return Ok(KeyText { transform, key: Zeroizing::default(), crc_fits: false });
    };
    let (bytes, crc_fits) = (body.len(), u32::from_le_bytes(*crc) == crc32fast::hash(body));
    key.truncate(bytes);
    Ok(KeyText { transform, key, crc_fits })
}
