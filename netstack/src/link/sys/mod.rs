//! The kernel's edge: the only `unsafe` of this crate.
//!
//! What the files may do: set socket options, gather one batch into one `sendmmsg`, scatter one
//! `recvmmsg` into ring slots, the same for one stream, ask for the MTU of the device that owns an
//! address, map memory that another process maps too.

mod device;
mod name;
mod option;
mod receive;
mod send;
mod shared;
mod stream;

pub(crate) use device::mtu_of;
pub(crate) use option::configure;
pub(crate) use receive::ReceiveArrays;
pub(crate) use send::{ELEMENTS_MAX, SendArrays, SendBatch, octets};
pub(crate) use shared::Shared;
pub(crate) use stream::StreamArrays;
