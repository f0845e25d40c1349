//! The user's options, from C strings to a target.

use crate::Opts;
use initiator::{PollMode, TargetSpec};
use std::ffi::{CStr, c_char};

/// What was asked for.
pub(crate) struct Options {
    pub(crate) spec: TargetSpec,
    pub(crate) poll: PollMode,
    pub(crate) queue_depth: u32,
}

/// Reads the options. Errors: errno and a sentence for the user.
///
/// # Safety
/// Every pointer is null or a zero-terminated string.
pub(crate) unsafe fn read(opts: &Opts) -> Result<Options, (i32, String)> {
    let invalid = |text: String| (libc::EINVAL, text);
    // SAFETY: the caller's promise, for this and all below.
    let filename = unsafe { text(opts.filename) }.map_err(invalid)?.unwrap_or_default();
    let mut words = Vec::new();
    for (key, value) in [
        ("trtype", opts.trtype),
        ("adrfam", opts.adrfam),
        ("traddr", opts.traddr),
        ("trsvcid", opts.trsvcid),
        ("subnqn", opts.subnqn),
        ("hostaddr", opts.hostaddr),
        ("hostnqn", opts.hostnqn),
        ("mode", opts.mode),
        ("link", opts.link),
        ("cc", opts.cc),
        ("hdgst", opts.hdgst),
        ("ddgst", opts.ddgst),
        ("tls_key", opts.tls_key),
        ("dhchap_secret", opts.dhchap_secret),
        ("dhchap_ctrl_secret", opts.dhchap_ctrl_secret),
        ("concat", opts.concat),
    ] {
        // SAFETY: as above.
        if let Some(value) = unsafe { text(value) }.map_err(invalid)? {
            words.push(format!("{key}={value}"));
        }
    }
    if opts.nsid > 0 {
        words.push(format!("ns={}", opts.nsid));
    }
    let is_uri = filename.contains("://");
    if !is_uri && filename.contains('=') {
        // The later word wins.
        words.push(filename.to_owned());
    }
    let spec = if is_uri { filename.to_owned() } else { words.join(" ") };
    let spec: TargetSpec = spec.parse().map_err(|e| invalid(format!("{e}")))?;
    // SAFETY: as above.
    let poll = match unsafe { text(opts.poll) }.map_err(invalid)? {
        None | Some("adaptive") => PollMode::Adaptive,
        Some("busy") => PollMode::Busy,
        Some(other) => return Err(invalid(format!("poll={other}: busy or adaptive"))),
    };
    Ok(Options { spec, poll, queue_depth: opts.queue_depth })
}

/// # Safety
/// `string` is null, or zero-terminated and valid for `'a`.
unsafe fn text<'a>(string: *const c_char) -> Result<Option<&'a str>, String> {
    if string.is_null() {
        return Ok(None);
    }
    // SAFETY: the caller's promise.
    let octets = unsafe { CStr::from_ptr(string) };
    octets.to_str().map(Some).map_err(|_| format!("{octets:?} is not UTF-8"))
}
