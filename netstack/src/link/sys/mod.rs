//! The kernel's edge: the only `unsafe` of this crate.
//!
//! What the files may do: set socket options, gather one batch into one `sendmmsg`, scatter one
//! `recvmmsg` into ring slots, the same for whole frames and for one stream, ask about the device that
//! owns an address, map memory that another process maps too.

mod device;
mod name;
mod option;
mod packet;
mod receive;
mod send;
mod shared;
mod stream;

pub(crate) use device::{Ethernet, ethernet_of, mtu_of};
pub(crate) use option::{configure, configure_frames, forgo_runs, set_class};
pub(crate) use packet::{FrameArrays, bind_device};
pub(crate) use receive::ReceiveArrays;
pub(crate) use send::{ELEMENTS_MAX, SendArrays, SendBatch, octets};
pub(crate) use shared::Shared;
pub(crate) use stream::StreamArrays;
