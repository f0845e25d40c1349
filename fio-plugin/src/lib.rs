//! fio ioengine over the `FlexBlk` initiator: the Rust side of `shim/flexblk_abi.h`.
//!
//! Read first: `shim/flexblk_abi.h`, which is the contract, then `shim/flexblk.c`, which is the
//! only caller. fio finds the engine by the symbol [`get_ioengine`].

mod engine;
mod options;

use engine::{Engine, Submitted};
use initiator::IoOp;
use std::ffi::{c_char, c_int, c_uint, c_void};
use std::ptr::NonNull;
use std::time::Duration;

/// One connection to one namespace.
pub struct Handle(Engine);

/// `struct flexblk_opts`.
#[repr(C)]
#[derive(Debug)]
pub struct Opts {
    filename: *const c_char,
    trtype: *const c_char,
    adrfam: *const c_char,
    traddr: *const c_char,
    trsvcid: *const c_char,
    subnqn: *const c_char,
    hostaddr: *const c_char,
    hostnqn: *const c_char,
    mode: *const c_char,
    link: *const c_char,
    cc: *const c_char,
    hdgst: *const c_char,
    ddgst: *const c_char,
    tls_key: *const c_char,
    dhchap_secret: *const c_char,
    dhchap_ctrl_secret: *const c_char,
    concat: *const c_char,
    poll: *const c_char,
    nsid: u32,
    nr_io_queues: u32,
    queue_depth: u32,
}

/// `struct flexblk_info`.
#[repr(C)]
#[derive(Debug)]
pub struct Info {
    size_bytes: u64,
    block_bytes: u32,
    transfer_bytes_max: u32,
}

/// `struct flexblk_done`.
#[repr(C)]
#[derive(Debug)]
pub struct Done {
    tag: u64,
    error: i32,
    reserved: u32,
}

// The header states the same sizes.
const _: () = assert!(size_of::<Opts>() == 160);
const _: () = assert!(size_of::<Info>() == 16 && size_of::<Done>() == 16);

unsafe extern "C" {
    /// The shim's `struct ioengine_ops`.
    safe fn flexblk_ioengine_ops() -> *mut c_void;
}

/// What fio looks up after loading the library: writes the engine's `struct ioengine_ops`.
///
/// # Safety
/// `ops` points to a pointer that may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn get_ioengine(ops: *mut *mut c_void) {
    // SAFETY: the caller passes a writable pointer (fio: the address of a local variable).
    unsafe { ops.write(flexblk_ioengine_ops()) };
}

/// See `flexblk_abi.h`.
///
/// # Safety
/// `opts` is as the header says, `handle` may be written, and `why` points to `why_bytes` writable
/// octets.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn flexblk_open(
    opts: *const Opts,
    handle: *mut *mut Handle,
    why: *mut c_char,
    why_bytes: usize,
) -> c_int {
    // SAFETY: the caller's promise.
    let opened = unsafe { options::read(&*opts) }.and_then(|o| {
        Engine::open(&o.spec, o.queue_depth, o.poll).map_err(|e| (libc::ENOTCONN, e))
    });
    match opened {
        Ok(engine) => {
            // SAFETY: the caller's promise.
            unsafe { handle.write(Box::into_raw(Box::new(Handle(engine)))) };
            0
        }
        Err((errno, text)) => {
            // SAFETY: the caller's promise.
            unsafe { explain(&text, why, why_bytes) };
            -errno
        }
    }
}

/// Copies `text`, cut to fit, zero-terminated.
///
/// # Safety
/// `why` is null or points to `why_bytes` writable octets.
unsafe fn explain(text: &str, why: *mut c_char, why_bytes: usize) {
    if why.is_null() || why_bytes == 0 {
        return;
    }
    let len = text.len().min(why_bytes - 1);
    // SAFETY: the caller owns `why_bytes` octets at `why`; `len + 1` is at most that.
    unsafe {
        std::ptr::copy_nonoverlapping(text.as_ptr(), why.cast::<u8>(), len);
        why.add(len).write(0);
    }
}

/// The engine of a handle.
///
/// # Safety
/// `handle` came from `flexblk_open`, was not closed, and is used by one thread at a time.
unsafe fn engine<'a>(handle: *mut Handle) -> &'a mut Engine {
    // SAFETY: the caller's promise.
    unsafe { &mut (*handle).0 }
}

/// See `flexblk_abi.h`.
///
/// # Safety
/// An open handle, and `info` may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn flexblk_info(handle: *mut Handle, info: *mut Info) -> c_int {
    // SAFETY: the caller's promise.
    let ns = *unsafe { engine(handle) }.namespace();
    // A request may be longer than a command: it is split.
    let transfer_bytes_max = ns.max_transfer_bytes;
    let block_bytes = ns.block_bytes;
    // SAFETY: the caller's promise.
    unsafe { info.write(Info { size_bytes: ns.bytes(), block_bytes, transfer_bytes_max }) };
    0
}

/// See `flexblk_abi.h`.
///
/// # Safety
/// An open handle; `buf[len]` stays mapped until it is unregistered or the handle is closed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn flexblk_register(
    handle: *mut Handle,
    buf: *mut c_void,
    len: usize,
) -> c_int {
    let Some(base) = NonNull::new(buf.cast::<u8>()) else { return -libc::EFAULT };
    // SAFETY: the caller's promise.
    status(unsafe { engine(handle).register(base, len) })
}

/// See `flexblk_abi.h`.
///
/// # Safety
/// An open handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn flexblk_unregister(
    handle: *mut Handle,
    buf: *mut c_void,
    len: usize,
) -> c_int {
    // SAFETY: the caller's promise.
    status(unsafe { engine(handle) }.unregister(buf as u64, len as u64))
}

/// See `flexblk_abi.h`. `op` is an integer here: an enumeration must not hold a foreign value.
///
/// # Safety
/// An open handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn flexblk_submit(
    handle: *mut Handle,
    op: c_uint,
    buf: *mut c_void,
    len: u64,
    offset: u64,
    tag: u64,
) -> c_int {
    // SAFETY: the caller's promise.
    let engine = unsafe { engine(handle) };
    let outcome = match op {
        0 => engine.submit(IoOp::Read, buf as u64, len, offset, tag),
        1 => engine.submit(IoOp::Write, buf as u64, len, offset, tag),
        2 => engine.trim(len, offset, tag),
        3 => engine.submit(IoOp::Flush, 0, 0, 0, tag),
        _ => Err(libc::EINVAL),
    };
    match outcome {
        Ok(Submitted::Queued) => 0,
        Ok(Submitted::Busy) => 1,
        Err(errno) => -errno,
    }
}

/// See `flexblk_abi.h`.
///
/// # Safety
/// An open handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn flexblk_commit(handle: *mut Handle, more: bool) -> c_int {
    // SAFETY: the caller's promise.
    let engine = unsafe { engine(handle) };
    if !more || engine.is_batch() {
        engine.commit();
    }
    0
}

/// See `flexblk_abi.h`.
///
/// # Safety
/// An open handle, and `done` points to `max` writable entries.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn flexblk_poll(
    handle: *mut Handle,
    min: c_uint,
    max: c_uint,
    timeout_ns: i64,
    done: *mut Done,
) -> c_int {
    // SAFETY: the caller's promise.
    let engine = unsafe { engine(handle) };
    let timeout = u64::try_from(timeout_ns).ok().map(Duration::from_nanos);
    if let Err(errno) = engine.wait(min.min(max) as usize, timeout) {
        return -errno;
    }
    let mut count = 0;
    while count < max {
        let Some((tag, error)) = engine.poll() else { break };
        // SAFETY: `count` is below `max`; the caller's promise.
        unsafe { done.add(count as usize).write(Done { tag, error, reserved: 0 }) };
        count += 1;
    }
    c_int::try_from(count).unwrap_or(c_int::MAX)
}

/// See `flexblk_abi.h`.
///
/// # Safety
/// A handle from `flexblk_open`, or null; it is dead afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn flexblk_close(handle: *mut Handle) {
    if !handle.is_null() {
        // SAFETY: it came from `Box::into_raw` in `flexblk_open`, and this is its last use.
        unsafe { Box::from_raw(handle) }.0.close();
    }
}

fn status(outcome: Result<(), i32>) -> c_int {
    match outcome {
        Ok(()) => 0,
        Err(errno) => -errno,
    }
}
