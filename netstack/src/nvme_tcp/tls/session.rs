//! The library that speaks TLS, with buffers instead of a socket.
//!
//! The library asks for octets and hands them out through two C functions with a pointer: the only
//! unsafe code of TLS.

use super::TlsFault;
use crate::fabric::{Psk, PskHash};
use s2n_tls::connection::Connection;
use s2n_tls::enums::{Blinding, Mode, PskHmac};
use s2n_tls::error::{Error, ErrorType};
use s2n_tls::psk;
use s2n_tls::security::Policy;
use std::ffi::{c_int, c_void};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

pub(super) use s2n_tls::config::Config;

/// TLS 1.3 alone; AES-GCM with SHA-256 and SHA-384; X25519 and the NIST curves.
const POLICY: &str = "AWS-CRT-SDK-TLSv1.3-2023";

/// What connections have in common.
pub(super) fn config() -> Result<Config, TlsFault> {
    let build = || {
        let mut builder = Config::builder();
        builder.set_security_policy(&Policy::from_version(POLICY)?)?;
        builder.build()
    };
    build().map_err(|error| lacking(&error))
}

fn lacking(error: &Error) -> TlsFault {
    tracing::error!(%error, "TLS");
    TlsFault::Lacking
}

/// Octets of TLS on their way between the socket and the library.
#[derive(Default)]
pub(super) struct Wire {
    /// Room for what comes from the socket: from `taken` to `came` are those not looked at yet.
    pub(super) incoming: Vec<u8>,
    pub(super) taken: usize,
    pub(super) came: usize,
    /// To be sent.
    pub(super) outgoing: Vec<u8>,
}

impl Wire {
    /// What came, and was not looked at yet.
    pub(super) fn arrived(&self) -> &[u8] {
        &self.incoming[self.taken..self.came]
    }
    /// Room for `bytes` more.
    pub(super) fn room(&mut self, bytes: usize) -> &mut [u8] {
        self.incoming.copy_within(self.taken..self.came, 0);
        (self.taken, self.came) = (0, self.came - self.taken);
        if self.incoming.len() < self.came + bytes {
            self.incoming.resize(self.came + bytes, 0);
        }
        &mut self.incoming[self.came..]
    }
}

/// Both sides of a [`Wire`]: the library's and ours. Never contended: one thread has both.
#[derive(Clone, Default)]
pub(super) struct SharedWire(Arc<Mutex<Wire>>);

impl SharedWire {
    pub(super) fn lock(&self) -> MutexGuard<'_, Wire> {
        lock(&self.0)
    }
}
fn lock(wire: &Mutex<Wire>) -> MutexGuard<'_, Wire> {
    // Nothing that holds it panics.
    wire.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One side of a TLS connection.
pub(super) struct Session {
    /// Dropped before the wire that it points to.
    connection: Connection,
    _wire: SharedWire,
}

/// What came of a call.
pub(super) enum Progress<T> {
    Done(T),
    /// More octets have to come first.
    Hungry,
}

impl Session {
    /// A side that speaks over `wire`, and has `psks`. Errors: a key that is none, no memory.
    pub(super) fn new(
        mode: Mode,
        config: Config,
        wire: SharedWire,
        psks: &[&Psk],
    ) -> Result<Session, TlsFault> {
        let build = || {
            let mut connection = Connection::new(mode);
            connection.set_config(config)?;
            // Who is sent away is not held up first: nobody waits for one connection here.
            connection.set_blinding(Blinding::SelfService)?;
            connection.prefer_throughput()?;
            for key in psks {
                connection.append_psk(&external(key)?)?;
            }
            connection.set_receive_callback(Some(receive))?;
            connection.set_send_callback(Some(send))?;
            let context = Arc::as_ptr(&wire.0).cast_mut().cast::<c_void>();
            // SAFETY: the context lives as long as the connection: `Session` holds a share of it, in a
            // field that is dropped after the connection. Both functions take it for what it is.
            unsafe {
                connection.set_receive_context(context)?;
                connection.set_send_context(context)?;
            }
            Ok(connection)
        };
        let connection = build().map_err(|error: Error| lacking(&error))?;
        Ok(Session { connection, _wire: wire })
    }
    /// Goes on with the handshake. Errors: it fails.
    pub(super) fn negotiate(&mut self) -> Result<Progress<()>, TlsFault> {
        let outcome = self.connection.poll_negotiate().map_ok(drop);
        self.settle(outcome)
    }
    /// Name of the key that both sides have chosen, once the handshake is done.
    pub(super) fn identity(&self) -> Option<String> {
        let length = self.connection.negotiated_psk_identity_length().ok()?;
        let mut identity = vec![0; length];
        self.connection.negotiated_psk_identity(&mut identity).ok()?;
        String::from_utf8(identity).ok()
    }
    /// Puts octets into records. Returns how many. Errors: it cannot be sealed.
    pub(super) fn seal(&mut self, plain: &[u8]) -> Result<usize, TlsFault> {
        let outcome = self.connection.poll_send(plain);
        match self.settle(outcome)? {
            Progress::Done(count) => Ok(count),
            // The buffer takes everything.
            Progress::Hungry => Err(TlsFault::Broken),
        }
    }
    /// Takes octets out of records: at most one record's. 0: the peer sends no more. Errors: a record
    /// that was changed, or an alert.
    pub(super) fn unseal(&mut self, plain: &mut [u8]) -> Result<Progress<usize>, TlsFault> {
        let outcome = self.connection.poll_recv(plain);
        self.settle(outcome)
    }
    /// Says that this side sends no more.
    pub(super) fn finish(&mut self) {
        // If it cannot be said, the end of the stream says it.
        let _ = self.connection.poll_shutdown_send();
    }

    fn settle<T>(&self, outcome: Poll<Result<T, Error>>) -> Result<Progress<T>, TlsFault> {
        match outcome {
            Poll::Ready(Ok(value)) => Ok(Progress::Done(value)),
            Poll::Pending => Ok(Progress::Hungry),
            Poll::Ready(Err(error)) => {
                tracing::debug!(%error, "TLS");
                let alert = self.connection.alert().filter(|_| error.kind() == ErrorType::Alert);
                Err(match alert {
                    Some(alert) => TlsFault::Alert(alert),
                    // What it says of a binder that was made with another key.
                    None if error.name() == "S2N_ERR_BAD_PSK_BINDER" => TlsFault::WrongKey,
                    None => TlsFault::Broken,
                })
            }
        }
    }
}

fn external(key: &Psk) -> Result<psk::Psk, Error> {
    let mut builder = psk::Builder::new()?;
    builder.set_identity(key.identity.as_bytes())?;
    builder.set_secret(&key.secret)?;
    builder.set_hmac(match key.hash {
        PskHash::Sha256 => PskHmac::SHA256,
        PskHash::Sha384 => PskHmac::SHA384,
    })?;
    builder.build()
}

/// Gives the library what came.
///
/// # Safety
/// `context` is that of [`Session::new`]; `into` has room for `room` octets.
unsafe extern "C" fn receive(context: *mut c_void, into: *mut u8, room: u32) -> c_int {
    // SAFETY: the library passes the context that `Session::new` gave it, which is alive.
    let mut wire = lock(unsafe { &*context.cast::<Mutex<Wire>>() });
    let there = wire.arrived();
    let count = there.len().min(room as usize);
    if count == 0 {
        // SAFETY: the address of this thread's error number is valid in this thread.
        unsafe { *libc::__errno_location() = libc::EAGAIN };
        return -1;
    }
    // SAFETY: both have `count` octets, and the library's buffer is no part of ours.
    unsafe { std::ptr::copy_nonoverlapping(there.as_ptr(), into, count) };
    wire.taken += count;
    c_int::try_from(count).unwrap_or(c_int::MAX)
}

/// Takes from the library what is to be sent.
///
/// # Safety
/// `context` is that of [`Session::new`]; at `from` are `length` octets.
unsafe extern "C" fn send(context: *mut c_void, from: *const u8, length: u32) -> c_int {
    // SAFETY: the library passes the context that `Session::new` gave it, which is alive.
    let mut wire = lock(unsafe { &*context.cast::<Mutex<Wire>>() });
    if length > 0 {
        // SAFETY: the library says that so many octets are there, and does not change them meanwhile.
        wire.outgoing
            .extend_from_slice(unsafe { std::slice::from_raw_parts(from, length as usize) });
    }
    c_int::try_from(length).unwrap_or(c_int::MAX)
}
