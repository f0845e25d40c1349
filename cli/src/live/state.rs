//! The configuration that outlives a restart: a file that is replaced as a whole.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use target::FileStore;

/// Where it is kept.
#[derive(Clone, Debug)]
pub(crate) struct StateFile {
    path: PathBuf,
}

/// The next one, on the disk and not in force. Dropped, it is gone.
#[must_use = "it is not in force until it is kept"]
pub(crate) struct Draft<'s> {
    state: &'s StateFile,
    path: PathBuf,
    is_kept: bool,
}

impl StateFile {
    /// A state in `path`, which need not exist. A link is followed: what it names is replaced.
    pub(crate) fn new(path: &Path) -> StateFile {
        StateFile { path: fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()) }
    }
    /// Puts `text` on the disk, beside what is in force.
    ///
    /// Errors: the folder cannot be written, or the disk is full. What is in force stays.
    pub(crate) fn draft(&self, text: &str) -> io::Result<Draft<'_>> {
        let mut path = self.path.clone().into_os_string();
        path.push(".draft");
        let path = PathBuf::from(path);
        let mut how = OpenOptions::new();
        how.write(true).create(true).truncate(true).mode(0o600);
        // A link that somebody left there would lead to another file.
        how.custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed());
        let mut file = how.open(&path)?;
        // From here on it is removed if anything fails.
        let draft = Draft { state: self, path, is_kept: false };
        if let Ok(old) = fs::metadata(&self.path) {
            file.set_permissions(fs::Permissions::from_mode(old.permissions().mode() & 0o7777))?;
        }
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        Ok(draft)
    }
    /// What is in force. `None`: nothing yet.
    pub(crate) fn read(&self) -> io::Result<Option<String>> {
        match fs::read_to_string(&self.path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            outcome => outcome.map(Some),
        }
    }
    /// Where reservations are kept beside it: a folder, made if it is not there.
    ///
    /// Errors: it cannot be made.
    pub(crate) fn reservations(&self) -> io::Result<FileStore> {
        let mut folder = self.path.clone().into_os_string();
        folder.push(".reservations");
        let folder = PathBuf::from(folder);
        match DirBuilder::new().mode(0o700).create(&folder) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
            _ => Ok(FileStore::new(folder)),
        }
    }
    fn sync_folder(&self) -> io::Result<()> {
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
    }
}

impl Draft<'_> {
    /// Puts it in force: it, or what was before, survives a crash at any moment.
    ///
    /// Errors: it is not in force, or would not be after a power loss.
    pub(crate) fn keep(mut self) -> io::Result<()> {
        fs::rename(&self.path, &self.state.path)?;
        self.is_kept = true;
        self.state.sync_folder()
    }
}

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        if !self.is_kept {
            // Left behind, it would be overwritten by the next.
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: the old state is in force until the new one is kept, whatever happens in between; what
    /// cannot be written leaves it, and no draft stays.
    #[test]
    fn old_or_new() {
        let folder = std::env::temp_dir().join(format!("flexblk-state-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let state = StateFile::new(&folder.join("state.toml"));
        assert_eq!(state.read().unwrap(), None);
        state.draft("one").unwrap().keep().unwrap();
        let draft = state.draft("two").unwrap();
        assert_eq!(state.read().unwrap().as_deref(), Some("one"));
        drop(draft);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "a draft was left behind");
        state.draft("three").unwrap().keep().unwrap();
        assert_eq!(state.read().unwrap().as_deref(), Some("three"));
        // What cannot be written, and what somebody else put there to be written.
        fs::create_dir(folder.join("state.toml.draft")).unwrap();
        assert!(state.draft("four").is_err());
        fs::remove_dir(folder.join("state.toml.draft")).unwrap();
        let victim = folder.join("victim");
        fs::write(&victim, "mine").unwrap();
        std::os::unix::fs::symlink(&victim, folder.join("state.toml.draft")).unwrap();
        assert!(state.draft("four").is_err());
        assert_eq!(fs::read(&victim).unwrap(), b"mine");
        assert_eq!(state.read().unwrap().as_deref(), Some("three"));
        assert!(StateFile::new(&folder.join("none/state.toml")).draft("five").is_err());
        fs::remove_dir_all(&folder).unwrap();
    }
}
