//! Where reservations outlive the program: a trait, and files of text.
//!
//! ```text
//! flexblk reservations 1
//! generation 7
//! holder 000102…0f 3          host identifier, type; missing if nobody holds one
//! registrant 000102…0f 00000000000000a1    host identifier, key
//! end
//! ```
//! All numbers of hosts and keys are hexadecimal, the others decimal.
//! Source: NVMe Base 2.1, "Reservations" (persist through power loss).

use super::HostId;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::PathBuf;
use wire::nvme::reservation::ReservationType;

/// A registered host, as it is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SavedRegistrant {
    /// 128-bit host identifier, as it stands on the wire.
    pub host: [u8; 16],
    /// Its key.
    pub key: u64,
}

/// Reservations of a namespace, as they are kept.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SavedReservations {
    /// Count of registrations and preemptions.
    pub generation: u32,
    /// Who acquired the reservation, and its type.
    pub holder: Option<([u8; 16], ReservationType)>,
    /// Registered hosts.
    pub registrants: Vec<SavedRegistrant>,
}

/// Keeps reservations through power loss. Called by the polling thread, when a reservation changes:
/// it may block for as long as a small synchronous write takes.
pub trait ReservationStore {
    /// Whether anything is kept at all.
    fn is_persistent(&self) -> bool {
        true
    }
    /// What was kept for the namespace with this UUID; `None`: nothing.
    ///
    /// Errors: what is there cannot be read. The namespace is then not exported: hosts rely on
    /// reservations to keep others away from their data.
    fn load(&mut self, uuid: [u8; 16]) -> io::Result<Option<SavedReservations>>;
    /// Keeps `state`, or forgets (`None`). Returns once it would survive a power loss.
    ///
    /// Errors: it may not have been kept. The host's command fails, and the namespace stays as it is
    /// until the next change.
    fn save(&mut self, uuid: [u8; 16], state: Option<&SavedReservations>) -> io::Result<()>;
}

/// Keeps nothing, and says so to hosts.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoStore;

impl ReservationStore for NoStore {
    fn is_persistent(&self) -> bool {
        false
    }
    fn load(&mut self, _uuid: [u8; 16]) -> io::Result<Option<SavedReservations>> {
        Ok(None)
    }
    fn save(&mut self, _uuid: [u8; 16], _state: Option<&SavedReservations>) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// Keeps them in files of one folder, one for each namespace, each replaced as a whole.
#[derive(Clone, Debug)]
pub struct FileStore {
    folder: PathBuf,
}

impl FileStore {
    /// A store in `folder`, which exists.
    #[must_use]
    pub fn new(folder: PathBuf) -> FileStore {
        FileStore { folder }
    }
    fn path(&self, uuid: [u8; 16]) -> PathBuf {
        self.folder.join(format!("{}.reservations", hex(&uuid)))
    }
    fn sync_folder(&self) -> io::Result<()> {
        File::open(&self.folder)?.sync_all()
    }
}

impl ReservationStore for FileStore {
    fn load(&mut self, uuid: [u8; 16]) -> io::Result<Option<SavedReservations>> {
        let path = self.path(uuid);
        let text = match fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            outcome => outcome?,
        };
        let damaged = || {
            let what = format!("{} is not a whole file of reservations", path.display());
            io::Error::new(io::ErrorKind::InvalidData, what)
        };
        parse(&text).map(Some).ok_or_else(damaged)
    }
    fn save(&mut self, uuid: [u8; 16], state: Option<&SavedReservations>) -> io::Result<()> {
        let path = self.path(uuid);
        let Some(state) = state else {
            return match fs::remove_file(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                outcome => outcome.and_then(|()| self.sync_folder()),
            };
        };
        let draft = path.with_extension("draft");
        let mut file = File::create(&draft)?;
        file.write_all(format(state).as_bytes())?;
        file.sync_all()?;
        fs::rename(&draft, &path)?;
        self.sync_folder()
    }
}

fn hex(octets: &[u8]) -> String {
    octets.iter().fold(String::new(), |mut text, octet| {
        let _ = write!(text, "{octet:02x}");
        text
    })
}

fn format(state: &SavedReservations) -> String {
    let mut text = format!("{MAGIC}\ngeneration {}\n", state.generation);
    if let Some((host, kind)) = &state.holder {
        let _ = writeln!(text, "holder {} {}", hex(host), kind.octet());
    }
    for SavedRegistrant { host, key } in &state.registrants {
        let _ = writeln!(text, "registrant {} {key:016x}", hex(host));
    }
    text + "end\n"
}

const MAGIC: &str = "flexblk reservations 1";

/// `None`: not such a file, or not all of it.
fn parse(text: &str) -> Option<SavedReservations> {
    let mut lines = text.lines();
    if lines.next()? != MAGIC {
        return None;
    }
    let mut state = SavedReservations::default();
    for line in lines {
        let words: Vec<&str> = line.split(' ').collect();
        match words.as_slice() {
            ["generation", count] => state.generation = count.parse().ok()?,
            ["holder", host, kind] => {
                let kind = ReservationType::from_octet(kind.parse().ok()?)?;
                state.holder = Some((host_id(host)?, kind));
            }
            ["registrant", host, key] => {
                let key = u64::from_str_radix(key, 16).ok()?;
                state.registrants.push(SavedRegistrant { host: host_id(host)?, key });
            }
            ["end"] => return Some(state),
            _ => return None,
        }
    }
    None
}

fn host_id(text: &str) -> Option<HostId> {
    let number = u128::from_str_radix(text, 16).ok().filter(|_| text.len() == 32)?;
    Some(number.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some() -> SavedReservations {
        let registrants = [1, 2].map(|host| SavedRegistrant { host: [host; 16], key: 0xa0 });
        let holder = Some(([2; 16], ReservationType::WriteExclusiveRegistrants));
        SavedReservations { generation: 9, holder, registrants: registrants.to_vec() }
    }

    /// Goal: what is written is read, and a file that was cut anywhere, or is something else, is not
    /// taken for less than it was.
    #[test]
    fn damage_is_noticed() {
        let text = format(&some());
        assert_eq!(parse(&text), Some(some()));
        assert_eq!(parse(&format(&SavedReservations::default())), Some(Default::default()));
        for cut in 0..text.len() - 1 {
            assert_eq!(parse(&text[..cut]), None, "cut at {cut}");
        }
        for (from, to) in [(" 3", " 7"), ("generation", "Generation"), ("a0", "zz"), ("02 ", " ")] {
            assert_eq!(parse(&text.replacen(from, to, 1)), None, "{from} as {to}");
        }
    }

    /// Goal: files come and go with what is kept.
    #[test]
    fn files_keep_what_is_saved() {
        let folder = std::env::temp_dir().join(format!("flexblk-resv-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let mut store = FileStore::new(folder.clone());
        let uuid = [7; 16];
        assert_eq!(store.load(uuid).unwrap(), None);
        store.save(uuid, Some(&some())).unwrap();
        assert_eq!(FileStore::new(folder.clone()).load(uuid).unwrap(), Some(some()));
        fs::write(store.path(uuid), "flexblk reservations 1\n").unwrap();
        assert_eq!(store.load(uuid).unwrap_err().kind(), io::ErrorKind::InvalidData);
        store.save(uuid, None).unwrap();
        store.save(uuid, None).unwrap();
        assert_eq!(store.load(uuid).unwrap(), None);
        fs::remove_dir_all(&folder).unwrap();
    }
}
