//! Where records of TLS begin and end: their lengths stand in the clear. Source: RFC 8446, "Record Layer".

/// Octets of a record's header; the length is in the last two.
const HEADER_BYTES: usize = 5;

/// One direction of a connection.
#[derive(Debug, Default)]
pub(super) struct Records {
    header: [u8; HEADER_BYTES],
    have: usize,
    /// Octets behind the header that are missing.
    missing: usize,
    /// Counts the records that were begun.
    begun: u32,
}

impl Records {
    /// The next octets.
    pub(super) fn handle_octets(&mut self, mut octets: &[u8]) {
        while !octets.is_empty() {
            if self.have == HEADER_BYTES {
                let (_, rest) = octets.split_at(self.missing.min(octets.len()));
                self.missing -= octets.len() - rest.len();
                octets = rest;
            } else {
                if self.have == 0 {
                    self.begun = self.begun.wrapping_add(1);
                }
                let (now, rest) = octets.split_at((HEADER_BYTES - self.have).min(octets.len()));
                self.header[self.have..self.have + now.len()].copy_from_slice(now);
                self.have += now.len();
                self.missing = usize::from(u16::from_be_bytes([self.header[3], self.header[4]]));
                octets = rest;
            }
            if self.have == HEADER_BYTES && self.missing == 0 {
                self.have = 0;
            }
        }
    }
    /// Which record has begun and is not whole; `None`: the next octet begins one.
    pub(super) fn unfinished(&self) -> Option<u32> {
        (self.have > 0).then_some(self.begun)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: records are told apart however they are cut, and one that is whole is not taken for one
    /// that is not.
    #[test]
    fn records_begin_and_end() {
        let record = |length: u16| {
            let mut octets = vec![23, 3, 3];
            octets.extend_from_slice(&length.to_be_bytes());
            octets.resize(HEADER_BYTES + usize::from(length), 9);
            octets
        };
        let octets = [record(0), record(1), record(300), record(2)].concat();
        for step in 1..octets.len() {
            let mut records = Records::default();
            assert_eq!(records.unfinished(), None);
            octets.chunks(step).for_each(|chunk| records.handle_octets(chunk));
            assert_eq!((records.unfinished(), records.begun), (None, 4), "in steps of {step}");
        }
        let mut records = Records::default();
        records.handle_octets(&octets[..4]);
        assert_eq!(records.unfinished(), Some(1));
        records.handle_octets(&octets[4..20]);
        assert_eq!(records.unfinished(), Some(3), "the third is not whole");
    }
}
