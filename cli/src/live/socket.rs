//! The control socket: who may ask, how much, and for how long.

use super::protocol::{REQUEST_BYTES_MAX, Request, Response};
use crate::failure::Failure;
use rustix::fs::Mode;
use rustix::process::{geteuid, umask};
use rustix::thread::CpuSet;
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A request has this long to arrive, and its answer to be taken.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where the socket is when nobody says: `None` for users who have no folder of their own.
pub(crate) fn default_path() -> Option<PathBuf> {
    if geteuid().is_root() {
        return Some("/run/flexblk/control.sock".into());
    }
    let folder = std::env::var_os("XDG_RUNTIME_DIR").filter(|folder| !folder.is_empty())?;
    Some(Path::new(&folder).join("flexblk/control.sock"))
}

/// A bound socket. Dropped, its name is gone.
#[derive(Debug)]
pub(crate) struct ControlSocket {
    listener: UnixListener,
    path: PathBuf,
}

impl ControlSocket {
    /// Binds to `path`, for this user and root. What a dead target left there is replaced.
    ///
    /// Errors: a target lives there, something else is there, or the folder cannot be written. Call
    /// it before threads are started: it changes the process's mask for a moment.
    pub(crate) fn bind(path: &Path) -> Result<ControlSocket, Failure> {
        let shown = path.display();
        let fail = |why: io::Error| Failure::new(format!("control socket {shown}: {why}"));
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(fail)?;
        }
        match UnixStream::connect(path) {
            Ok(_) => {
                return Err(Failure::new(format!(
                    "a target is controlled through {shown} already: give this one another, \
                     --control PATH"
                )));
            }
            Err(why) if why.kind() == ErrorKind::ConnectionRefused => {
                std::fs::remove_file(path).map_err(fail)?;
            }
            Err(why) if why.kind() == ErrorKind::NotFound => {}
            Err(why) => return Err(fail(why)),
        }
        let before = umask(Mode::from_raw_mode(0o177));
        let bound = UnixListener::bind(path);
        umask(before);
        Ok(ControlSocket { listener: bound.map_err(fail)?, path: path.to_owned() })
    }
    /// Its name.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
    /// A thread on `cpus` that answers, one asker after the other, until the process ends.
    ///
    /// Errors: no descriptor or thread left.
    pub(crate) fn answer(
        &self,
        cpus: CpuSet,
        mut handle: impl FnMut(&Request) -> Response + Send + 'static,
    ) -> io::Result<()> {
        let listener = self.listener.try_clone()?;
        let name = "control".to_owned();
        std::thread::Builder::new().name(name).spawn(move || {
            // Where it cannot go there, it stays with the thread that started it.
            let _ = rustix::thread::sched_setaffinity(None, &cpus);
            for stream in listener.incoming() {
                match stream {
                    Ok(stream) => {
                        if let Err(error) = converse(&stream, &mut handle) {
                            tracing::warn!(%error, "control connection");
                        }
                    }
                    // Out of descriptors: they come back.
                    Err(_) => std::thread::sleep(Duration::from_millis(100)),
                }
            }
        })?;
        Ok(())
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        // It is ours: nobody replaces the socket of a target that lives.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Answers one asker's requests, line by line.
fn converse(stream: &UnixStream, handle: &mut impl FnMut(&Request) -> Response) -> io::Result<()> {
    stream.set_write_timeout(Some(PATIENCE))?;
    let peer = rustix::net::sockopt::socket_peercred(stream)?;
    if !peer.uid.is_root() && peer.uid != geteuid() {
        let why = "only root and the user who runs the target may control it";
        return send(stream, &Response::refused(why, false));
    }
    let mut lines = Lines::default();
    loop {
        let response = match lines.next(stream)? {
            Line::End => return Ok(()),
            Line::TooLong => {
                let why = format!("a request has at most {REQUEST_BYTES_MAX} octets");
                return send(stream, &Response::refused(why, true));
            }
            Line::Whole(line) => match serde_json::from_slice(&line) {
                Ok(request) => handle(&request),
                Err(why) => Response::refused(format!("not a request: {why}"), true),
            },
        };
        send(stream, &response)?;
    }
}

fn send(mut stream: &UnixStream, response: &Response) -> io::Result<()> {
    let mut line = serde_json::to_vec(response)?;
    line.push(b'\n');
    stream.write_all(&line)
}

enum Line {
    Whole(Vec<u8>),
    TooLong,
    End,
}

/// Lines of a stream, as far as they were read.
#[derive(Default)]
struct Lines {
    octets: Vec<u8>,
}

impl Lines {
    /// The next line, without its end. Errors: it did not come in time, or the asker is gone.
    fn next(&mut self, mut stream: &UnixStream) -> io::Result<Line> {
        let until = Instant::now() + PATIENCE;
        let mut searched = 0;
        loop {
            let found = self.octets[searched..].iter().position(|octet| *octet == b'\n');
            if let Some(at) = found {
                let rest = self.octets.split_off(searched + at + 1);
                let mut line = std::mem::replace(&mut self.octets, rest);
                line.pop();
                return Ok(Line::Whole(line));
            }
            searched = self.octets.len();
            if searched as u64 >= REQUEST_BYTES_MAX {
                return Ok(Line::TooLong);
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(ErrorKind::TimedOut.into());
            }
            stream.set_read_timeout(Some(left))?;
            let mut chunk = [0; 16 << 10];
            match stream.read(&mut chunk) {
                Ok(0) if searched == 0 => return Ok(Line::End),
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(count) => self.octets.extend_from_slice(&chunk[..count]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

#[cfg(test)]
#[path = "socket_tests.rs"]
mod tests;
