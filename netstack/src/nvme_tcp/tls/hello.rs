//! The names of keys in a host's first message. Pure.
//!
//! Source: RFC 8446, "Record Layer", "Client Hello", "Pre-Shared Key Extension".

use super::RECORD_BYTES;

/// Octets of a first message: two names of at most 512 octets, key shares, lists.
const HELLO_BYTES_MAX: usize = 8 << 10;
/// Names that are looked at: hosts give two.
const NAMES_MAX: usize = 8;
const RECORD_HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
const EXTENSION_PRE_SHARED_KEY: u16 = 41;

/// What octets from the start of a connection are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Hello {
    /// The message is not complete yet.
    More,
    /// No first message of TLS, or a longer one than any host has reason to send.
    Bad,
    /// The names that it gives, as they stand, in order: none where it has no such extension.
    Names(Vec<Vec<u8>>),
}

/// Reads it, however it was cut into records.
pub(super) fn read(octets: &[u8]) -> Hello {
    match message(octets) {
        Some(Some(message)) => names(&message).map_or(Hello::Bad, Hello::Names),
        Some(None) => Hello::More,
        None => Hello::Bad,
    }
}

/// The message without its header. `Some(None)`: more is missing. `None`: it is none.
fn message(octets: &[u8]) -> Option<Option<Vec<u8>>> {
    let (mut records, mut message) = (Fields(octets), Vec::new());
    loop {
        if let [kind, a, b, c, rest @ ..] = &message[..] {
            let length = usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c);
            if *kind != CLIENT_HELLO || length > HELLO_BYTES_MAX {
                return None;
            }
            if rest.len() >= length {
                return Some(Some(rest[..length].to_vec()));
            }
        }
        let Some(kind) = records.number::<1>() else { return Some(None) };
        if kind != usize::from(RECORD_HANDSHAKE) {
            return None;
        }
        if records.take(2).is_none() {
            return Some(None);
        }
        let Some(length) = records.number::<2>() else { return Some(None) };
        // An empty one is forbidden, and would be no progress.
        if length == 0 || length > RECORD_BYTES {
            return None;
        }
        let Some(fragment) = records.take(length) else { return Some(None) };
        message.extend_from_slice(fragment);
    }
}

/// `None`: it is malformed.
fn names(message: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut fields = Fields(message);
    // Version and random octets; session, cipher suites, compression.
    fields.take(2 + 32)?;
    fields.vector::<1>()?;
    fields.vector::<2>()?;
    fields.vector::<1>()?;
    if fields.0.is_empty() {
        return Some(Vec::new());
    }
    let mut extensions = Fields(fields.vector::<2>()?);
    while !extensions.0.is_empty() {
        let kind = extensions.number::<2>()?;
        let content = extensions.vector::<2>()?;
        if kind == usize::from(EXTENSION_PRE_SHARED_KEY) {
            return identities(Fields(content).vector::<2>()?);
        }
    }
    Some(Vec::new())
}

fn identities(list: &[u8]) -> Option<Vec<Vec<u8>>> {
    let (mut list, mut names) = (Fields(list), Vec::new());
    while !list.0.is_empty() && names.len() < NAMES_MAX {
        names.push(list.vector::<2>()?.to_vec());
        // The age of a ticket, which these are not.
        list.take(4)?;
    }
    Some(names)
}

/// Octets of which fields are taken off the front.
struct Fields<'o>(&'o [u8]);

impl<'o> Fields<'o> {
    fn take(&mut self, count: usize) -> Option<&'o [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }
    /// A big-endian number of `BYTES` octets.
    fn number<const BYTES: usize>(&mut self) -> Option<usize> {
        let octets = self.take(BYTES)?;
        Some(octets.iter().fold(0, |number, octet| number << 8 | usize::from(*octet)))
    }
    /// Octets behind their count, which has `BYTES` octets.
    fn vector<const BYTES: usize>(&mut self) -> Option<&'o [u8]> {
        let count = self.number::<BYTES>()?;
        self.take(count)
    }
}

/// What must hold for any octets: a beginning that says something says what the whole says. Fuzz target
/// `hello`.
#[cfg(any(test, feature = "fuzz"))]
#[cfg_attr(not(feature = "fuzz"), expect(unreachable_pub, reason = "the fuzz target reaches it"))]
pub fn check(octets: &[u8]) {
    const CLOSE: usize = 128;
    let whole = read(octets);
    for len in (0..octets.len()).filter(|len| *len < CLOSE || len % 61 == 0) {
        let part = read(&octets[..len]);
        assert!(part == Hello::More || part == whole, "{len} octets: {part:?}, all: {whole:?}");
    }
    if let Hello::Names(names) = whole {
        let bytes: usize = names.iter().map(Vec::len).sum();
        assert!(names.len() <= NAMES_MAX && bytes <= HELLO_BYTES_MAX.min(octets.len()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn vector(bytes: usize, content: &[u8]) -> Vec<u8> {
        let length = content.len().to_be_bytes();
        [&length[length.len() - bytes..], content].concat()
    }
    fn hello(names: &[&[u8]]) -> Vec<u8> {
        let list: Vec<u8> =
            names.iter().flat_map(|name| [vector(2, name), vec![0; 4]].concat()).collect();
        let keys = [vec![0, 41], vector(2, &[vector(2, &list), vector(2, &[0; 33])].concat())];
        let other = [vec![0, 43], vector(2, &[2, 3, 4])];
        let extensions = vector(2, &[other.concat(), keys.concat()].concat());
        let body = [&[3; 34][..], &vector(1, &[5; 32]), &vector(2, &[19, 1]), &[1, 0], &extensions]
            .concat();
        [&[CLIENT_HELLO][..], &vector(3, &body)].concat()
    }
    fn records(message: &[u8], most: usize) -> Vec<u8> {
        let record = |part: &[u8]| [&[RECORD_HANDSHAKE, 3, 1][..], &vector(2, part)].concat();
        message.chunks(most).flat_map(record).collect()
    }

    /// Goal: names are found however the message is cut, and not before it is complete.
    #[test]
    fn names_are_found_in_any_records() {
        let names = [&b"NVMe1R01 a b c"[..], b"NVMe0R01 a b"];
        let expected = Hello::Names(names.map(<[u8]>::to_vec).to_vec());
        for most in [1, 5, 100, RECORD_BYTES] {
            let octets = records(&hello(&names), most);
            assert_eq!(read(&octets), expected, "{most} octets in a record");
            for less in 0..octets.len() {
                assert_eq!(read(&octets[..less]), Hello::More);
            }
        }
    }

    /// Goal: what is no first message is refused at its first octet, or its first wrong length; many
    /// names cost no more than a few.
    #[test]
    fn others_are_refused() {
        let good = records(&hello(&[b"a"]), 1000);
        for (at, octet) in [(0, 0), (0, 23), (5, 2), (6, 1), (3, 0xff)] {
            let mut bad = good.clone();
            bad[at] = octet;
            assert_eq!(read(&bad), Hello::Bad, "octet {at}");
        }
        assert_eq!(read(&[RECORD_HANDSHAKE, 3, 3, 0, 0]), Hello::Bad, "an empty record");
        let names = vec![&b"x"[..]; 100];
        let Hello::Names(found) = read(&records(&hello(&names), 1000)) else { panic!() };
        assert_eq!(found.len(), NAMES_MAX);
        assert_eq!(read(&records(&hello(&[]), 1000)), Hello::Names(vec![]));
    }

    /// Goal: none of the corpus breaks it.
    #[test]
    fn corpus() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/corpus/hello");
        let mut found = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            let octets = std::fs::read(entry.unwrap().path()).unwrap();
            check(&octets);
            found += usize::from(matches!(read(&octets), Hello::Names(names) if !names.is_empty()));
        }
        assert!(found > 0, "no first message with names in {folder}");
    }

    proptest! {
        /// Goal: no octets make it panic, nor a beginning say what the whole does not.
        #[test]
        fn any_octets_are_read(octets: Vec<u8>, at in 0_usize..200, octet: u8) {
            check(&octets);
            let _ = names(&octets);
            let mut changed = records(&hello(&[b"NVMe0R01 a b"]), 1000);
            if let Some(place) = changed.get_mut(at) {
                *place = octet;
            }
            check(&changed);
        }
    }
}
