//! What the operating system's errors mean for a disk.

use crate::DiskStatus;

/// Which way the data went.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Way {
    /// From the medium.
    In,
    /// To the medium.
    Out,
}

/// The status of an operation that failed with `errno`.
pub(crate) fn status_of(errno: i32, way: Way) -> DiskStatus {
    match errno {
        libc::ENOSPC | libc::EDQUOT | libc::EFBIG => DiskStatus::CapacityExceeded,
        libc::EIO
        | libc::ENODATA
        | libc::EILSEQ
        | libc::EBADMSG
        | libc::ENODEV
        | libc::ENXIO
        | libc::ENOLINK
        | libc::EREMOTEIO
        | libc::ETIMEDOUT
        | libc::ESTALE
        | libc::EROFS
        | libc::EPERM => match way {
            Way::In => DiskStatus::ReadError,
            Way::Out => DiskStatus::WriteError,
        },
        _ => DiskStatus::Internal,
    }
}

/// Try the same again: the operation did not start.
pub(crate) fn is_transient(errno: i32) -> bool {
    errno == libc::EINTR || errno == libc::EAGAIN
}

/// The file system or device does not do this kind of `fallocate`.
pub(crate) fn is_unsupported(errno: i32) -> bool {
    matches!(errno, libc::EOPNOTSUPP | libc::ENOSYS | libc::EINVAL | libc::ENOTTY)
}
