//! NVMe qualified names: who a host or a subsystem is.
//!
//! Source: NVMe Base 2.0, "NVMe qualified names".

/// A name of 1 to 223 octets of UTF-8, compared octet by octet. Held without allocation.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Nqn {
    octets: [u8; Self::LEN_MAX],
    len: u8,
}

/// Why a text is no NVMe qualified name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum NqnError {
    /// No octets.
    #[error("an NQN cannot be empty")]
    Empty,
    /// More than 223 octets.
    #[error("an NQN has at most 223 octets")]
    TooLong,
    /// Not UTF-8, or with control characters.
    #[error("an NQN is UTF-8 without control characters")]
    NotText,
    /// Not of the form `nqn.yyyy-mm.domain`.
    #[error("an NQN begins with nqn.yyyy-mm.domain, as nqn.2014-08.org.nvmexpress does")]
    NotQualified,
}

impl Nqn {
    /// Octets at most.
    pub const LEN_MAX: usize = 223;

    /// The well-known name of every discovery subsystem.
    pub const DISCOVERY: &'static str = "nqn.2014-08.org.nvmexpress.discovery";

    /// What comes before the UUID in a name made from one.
    pub const UUID_PREFIX: &'static str = "nqn.2014-08.org.nvmexpress:uuid:";

    /// A name that we give: checked against the form `nqn.yyyy-mm.domain…`.
    ///
    /// Errors: the caller's (a user's) fault.
    pub fn new(text: &str) -> Result<Self, NqnError> {
        let nqn = Self::lenient(text)?;
        if is_qualified(text) { Ok(nqn) } else { Err(NqnError::NotQualified) }
    }

    /// A name that a peer uses: any text of the right length, as Linux accepts it.
    ///
    /// Errors: the peer's fault.
    pub fn lenient(text: &str) -> Result<Self, NqnError> {
        if text.is_empty() {
            return Err(NqnError::Empty);
        }
        if text.chars().any(char::is_control) {
            return Err(NqnError::NotText);
        }
        let mut octets = [0; Self::LEN_MAX];
        let place = octets.get_mut(..text.len()).ok_or(NqnError::TooLong)?;
        place.copy_from_slice(text.as_bytes());
        let len = u8::try_from(text.len()).map_err(|_| NqnError::TooLong)?;
        Ok(Self { octets, len })
    }

    /// From a field of Connect, Identify or the discovery log, ended by the first zero.
    ///
    /// Errors: the peer's fault.
    pub fn from_field(field: &[u8; 256]) -> Result<Self, NqnError> {
        let text = field.split(|octet| *octet == 0).next().unwrap_or(&[]);
        Self::lenient(core::str::from_utf8(text).map_err(|_| NqnError::NotText)?)
    }

    /// The field, zero padded.
    #[must_use]
    pub fn field(&self) -> [u8; 256] {
        let mut field = [0; 256];
        field[..Self::LEN_MAX].copy_from_slice(&self.octets);
        field
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let text = &self.octets[..usize::from(self.len)];
        core::str::from_utf8(text).expect("checked when it was made")
    }

    /// The well-known discovery subsystem.
    #[must_use]
    pub fn is_discovery(&self) -> bool {
        self.as_str() == Self::DISCOVERY
    }
}

/// `nqn.yyyy-mm.` and a domain that begins with a letter or digit.
fn is_qualified(text: &str) -> bool {
    let Some(rest) = text.strip_prefix("nqn.") else { return false };
    let Some((date, domain)) = rest.split_once('.') else { return false };
    let Some((year, month)) = date.split_once('-') else { return false };
    let is_number = |digits: &str, len| {
        digits.len() == len && digits.bytes().all(|digit| digit.is_ascii_digit())
    };
    is_number(year, 4)
        && is_number(month, 2)
        && domain.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric())
}

impl core::str::FromStr for Nqn {
    type Err = NqnError;

    fn from_str(text: &str) -> Result<Self, NqnError> {
        Self::new(text)
    }
}

impl core::fmt::Display for Nqn {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl core::fmt::Debug for Nqn {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}
