//! fio ioengine over the `FlexBlk` initiator: the Rust side of `shim/flexblk_abi.h`.
//!
//! Read first: `shim/flexblk_abi.h`, which is the contract, then `shim/flexblk.c`, which is the
//! only caller. fio finds the engine by the symbol [`get_ioengine`].
//!
//! Not connected to the initiator yet: [`flexblk_open`] says so and fails with `ENOSYS`, so no
//! handle exists and nothing else is reached.

use std::ffi::{c_char, c_int, c_uint, c_void};

/// One connection to one namespace. No value exists before the initiator is connected.
#[derive(Debug)]
pub enum Handle {}

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
const _: () = assert!(size_of::<Opts>() == 96);
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
/// `why` points to `why_bytes` writable octets.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn flexblk_open(
    _opts: *const Opts,
    _handle: *mut *mut Handle,
    why: *mut c_char,
    why_bytes: usize,
) -> c_int {
    let text = c"not connected to an initiator yet".to_bytes_with_nul();
    if !why.is_null() && text.len() <= why_bytes {
        // SAFETY: the caller owns `why_bytes` octets at `why`, and the text fits.
        unsafe { std::ptr::copy_nonoverlapping(text.as_ptr(), why.cast::<u8>(), text.len()) };
    }
    -libc::ENOSYS
}

/// See `flexblk_abi.h`.
#[unsafe(no_mangle)]
pub extern "C" fn flexblk_info(_handle: *mut Handle, _info: *mut Info) -> c_int {
    -libc::ENOSYS
}

/// See `flexblk_abi.h`.
#[unsafe(no_mangle)]
pub extern "C" fn flexblk_register(_handle: *mut Handle, _buf: *mut c_void, _len: usize) -> c_int {
    -libc::ENOSYS
}

/// See `flexblk_abi.h`.
#[unsafe(no_mangle)]
pub extern "C" fn flexblk_unregister(
    _handle: *mut Handle,
    _buf: *mut c_void,
    _len: usize,
) -> c_int {
    -libc::ENOSYS
}

/// See `flexblk_abi.h`. `op` is an integer here: an enumeration must not hold a foreign value.
#[unsafe(no_mangle)]
pub extern "C" fn flexblk_submit(
    _handle: *mut Handle,
    _op: c_uint,
    _buf: *mut c_void,
    _len: u64,
    _offset: u64,
    _tag: u64,
) -> c_int {
    -libc::ENOSYS
}

/// See `flexblk_abi.h`.
#[unsafe(no_mangle)]
pub extern "C" fn flexblk_commit(_handle: *mut Handle, _more: bool) -> c_int {
    -libc::ENOSYS
}

/// See `flexblk_abi.h`.
#[unsafe(no_mangle)]
pub extern "C" fn flexblk_poll(
    _handle: *mut Handle,
    _min: c_uint,
    _max: c_uint,
    _timeout_ns: i64,
    _done: *mut Done,
) -> c_int {
    -libc::ENOSYS
}

/// See `flexblk_abi.h`.
#[unsafe(no_mangle)]
pub extern "C" fn flexblk_close(_handle: *mut Handle) {}
