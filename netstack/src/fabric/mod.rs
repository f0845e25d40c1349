//! What NVMe over Fabrics asks of a transport. Implementations: [`loopback`] (no network), the
//! NIC of the `dpa` crate (RoCEv2 and native), [`crate::nvme_tcp`].
//!
//! A connection carries capsules both ways; the target moves data with RDMA WRITE and READ (over
//! TCP these become data PDUs). Everything is asynchronous: `post` queues, `flush` sends,
//! `poll` tells what happened. Nothing blocks and nothing calls back.

pub mod loopback;
mod secure;

pub use secure::{Psk, PskHash, Security};

use memory::{Access, DmaBuf, Mr, Region, RegistryFull, Sge};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;
use verbs::{Remote, Rkey, SgeList, WcStatus};

/// In-capsule data that a command may bring where nothing else is said.
pub const IN_CAPSULE_BYTES: u32 = 4096;

/// One connection (queue pair) of a fabric. Never used again for another connection.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct QpHandle(pub u32);

/// Local memory of one piece of work: up to two elements (a capsule and its data).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Gather {
    elements: [Sge; 2],
}

impl Gather {
    /// One element.
    #[must_use]
    pub fn one(sge: Sge) -> Gather {
        Gather { elements: [sge, Sge::default()] }
    }
    /// Two elements, in order.
    #[must_use]
    pub fn two(first: Sge, second: Sge) -> Gather {
        Gather { elements: [first, second] }
    }
    /// The elements that have octets.
    pub fn iter(&self) -> impl Iterator<Item = Sge> + '_ {
        self.elements.iter().copied().filter(|sge| sge.length > 0)
    }
    /// The same as a list.
    #[inline]
    #[must_use]
    pub fn to_list(self) -> SgeList {
        let [first, second] = self.elements;
        match (first.length > 0, second.length > 0) {
            (true, true) => SgeList::from_buf([first, second]),
            (true, false) => SgeList::from_buf_and_len([first, second], 1),
            (false, true) => SgeList::from_buf_and_len([second, first], 1),
            (false, false) => SgeList::new(),
        }
    }
    /// Octets in all.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.elements.iter().map(|sge| u64::from(sge.length)).sum()
    }
    /// No octets.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WorkOp {
    /// Send a capsule; optionally invalidate the peer's key with it.
    Send {
        /// Key to invalidate at the peer.
        invalidate: Option<Rkey>,
    },
    /// Put `local` into the peer's memory.
    RdmaWrite(Remote),
    /// Fetch the peer's memory into `local`.
    RdmaRead(Remote),
    /// Land one of the peer's capsules in `local`.
    Recv,
}

/// Octets that a receive got: a piece of its memory.
#[derive(Clone, Copy, Debug)]
pub struct Landed<'r> {
    /// The memory, as it was registered.
    pub region: &'r Region,
    /// First octet.
    pub offset: usize,
    /// Octets.
    pub len: usize,
}

/// One piece of work on a connection. Done in posting order as RC orders it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Work {
    /// Returned in the event.
    pub token: u64,
    /// What.
    pub op: WorkOp,
    /// Local memory, registered with this fabric.
    pub local: Gather,
    /// Report success too (failures always are; receives always are).
    pub signaled: bool,
}

/// The queue has no room: the work comes back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Full<T>(pub T);

/// What connecting or accepting asks for.
#[derive(Clone, Debug)]
pub struct ConnectParams {
    /// Consumer private data: NVMe/RDMA's request (32 octets) or reply. At most 56 going out with a
    /// request, 148 with a rejection, 196 with a reply.
    pub private: Vec<u8>,
    /// Sends, writes and reads outstanding at once.
    pub send_depth: u32,
    /// Receives posted at once.
    pub recv_depth: u32,
    /// READs outstanding at once that this side asks for (initiator) or grants.
    pub read_depth: u8,
}

/// Why a connection ended or never was.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DisconnectReason {
    /// The peer asked for it.
    Peer,
    /// This side asked for it.
    Local,
    /// No answer from the peer within the transport's limits.
    Timeout,
    /// The peer or this side broke the protocol; the connection is in error.
    Error(WcStatus),
    /// TLS was wanted and could not be spoken, or was broken: why, in words.
    Insecure(&'static str),
}

/// What happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FabricEvent {
    /// A peer wants to connect: `accept` or `reject` it. Receives may be posted before `accept`.
    ConnectRequest {
        /// The connection to be.
        qp: QpHandle,
        /// Peer.
        from: SocketAddr,
        /// UDP/TCP port that it asked for.
        port: u16,
        /// Consumer private data (may be longer than was sent, zero-padded).
        private: Vec<u8>,
        /// READs that the peer lets us have outstanding to it.
        read_depth: u8,
    },
    /// Connected. For the side that connected, `private` is the acceptor's.
    Established {
        /// Connection.
        qp: QpHandle,
        /// Consumer private data of the reply.
        private: Vec<u8>,
        /// READs that the peer lets us have outstanding to it.
        read_depth: u8,
    },
    /// The peer refused. The handle is dead.
    Rejected {
        /// Connection.
        qp: QpHandle,
        /// CM reason (28: by its consumer; 8: nobody listens there).
        reason: u16,
        /// Consumer private data of the rejection.
        private: Vec<u8>,
    },
    /// A capsule landed in the receive `token`.
    Recv {
        /// Connection.
        qp: QpHandle,
        /// The receive's.
        token: u64,
        /// Octets.
        len: u32,
        /// Key that the peer invalidated here.
        invalidated: Option<Rkey>,
    },
    /// Work finished: acknowledged by the peer (sends, writes) or landed (reads).
    Done {
        /// Connection.
        qp: QpHandle,
        /// The work's.
        token: u64,
        /// Outcome.
        status: WcStatus,
    },
    /// The connection is gone; all its work was reported before this. The handle is dead.
    Disconnected {
        /// Connection.
        qp: QpHandle,
        /// Why.
        reason: DisconnectReason,
    },
}

/// Bounds that NVMe-oF needs to know.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FabricLimits {
    /// `trtype` word: "rdma", "loopback", "tcp".
    pub name: &'static str,
    /// Most octets in one RDMA WRITE or READ.
    pub max_message_bytes: u32,
    /// Most READs outstanding per connection.
    pub read_depth_max: u8,
}

/// What a fabric says of a transport that it does not have.
#[must_use]
pub fn no_transport(trtype: &str) -> io::Error {
    let why = format!("transport {trtype:?} is not served: start the target with -t {trtype}");
    io::Error::new(io::ErrorKind::Unsupported, why)
}

/// What a fabric says of a transport that has no TLS.
#[must_use]
pub fn no_tls(trtype: &str) -> io::Error {
    let why = format!("TLS is spoken over tcp, not over {trtype:?}: leave tls out there");
    io::Error::new(io::ErrorKind::Unsupported, why)
}

/// A transport for NVMe over Fabrics, owned by one polling thread.
pub trait Fabric {
    /// Bounds.
    fn limits(&self) -> FabricLimits;
    /// Makes memory usable in work of this fabric (and, as `access` says, by peers).
    fn register(&mut self, region: &Region, access: Access) -> Result<Mr, RegistryFull>;
    /// Ends a registration. Unknown keys are ignored.
    fn deregister(&mut self, mr: &Mr);
    /// Controller: octets of in-capsule data that a command of this connection may bring.
    fn in_capsule_bytes(&self, _qp: QpHandle) -> u32 {
        IN_CAPSULE_BYTES
    }
    /// Host: the same of commands of an admin queue, which no Identify tells; 0 for none.
    fn admin_in_capsule_bytes(&self) -> u32 {
        0
    }
    /// Host: the data of a command may say that it succeeded, so that no response follows, if the host
    /// does not want to hear of the submission queue's head.
    fn may_elide_responses(&self) -> bool {
        false
    }
    /// Commands of this connection name the host's memory by keys, as over RDMA; else the transport moves
    /// the data itself.
    fn keyed_sgls(&self, _qp: QpHandle) -> bool {
        true
    }
    /// What a READ of this connection fetches lands in whole packets, each checked before: one that
    /// breaks off leaves no packet half-landed. False for a stream of octets.
    fn lands_whole_packets(&self, _qp: QpHandle) -> bool {
        true
    }
    /// Lets octets that land in `mr` stay where they arrived until the next `poll`. From here on
    /// they are read through [`Fabric::copy_landed`] only, or from `mr` after
    /// [`Fabric::settle_landed`]. Without effect where nothing can stay.
    fn hold_back(&mut self, _mr: &Mr) {}
    /// Copies what landed `from` there (memory of [`Fabric::hold_back`]) to the start of `into`:
    /// from where it arrived, if it is still there, so that it was copied once. Others see it after
    /// [`memory::settle`]. Returns the octets that were copied a second time: 0 or all.
    /// Panics if `into` is shorter.
    fn copy_landed(&mut self, from: &Landed<'_>, into: &mut DmaBuf) -> u64 {
        into.place_from(from.region, from.offset, from.len);
        from.len as u64
    }
    /// Everything that landed is in its memory.
    fn settle_landed(&mut self) {}
    /// Accept connect requests for a port (NVMe's service id; 4420).
    fn listen(&mut self, port: u16);
    /// Accepts connect requests at `address` by the transport `trtype` ("rdma", "tcp"), while in use
    /// too. Asking twice is no error.
    ///
    /// Errors: the address cannot be had; `Unsupported`: not by this fabric, in words.
    fn open_listener(&mut self, trtype: &str, address: SocketAddr) -> io::Result<()> {
        if trtype != self.limits().name {
            return Err(no_transport(trtype));
        }
        self.listen(address.port());
        Ok(())
    }
    /// Accepts no more connect requests there. Connections that were made stay.
    ///
    /// Errors: `Unsupported` by this fabric.
    fn close_listener(&mut self, trtype: &str, _address: SocketAddr) -> io::Result<()> {
        Err(no_transport(trtype))
    }
    /// Says whether hosts that come to the listener at `address` speak TLS. Until then they do not.
    ///
    /// Errors: no such listener; `Unsupported`: there is no TLS over this transport, in words.
    fn secure_listener(
        &mut self,
        trtype: &str,
        _address: SocketAddr,
        security: Security,
    ) -> io::Result<()> {
        if security == Security::None { Ok(()) } else { Err(no_tls(trtype)) }
    }
    /// Controller: hosts that name `identity` have this key from now on, or none. Connections that
    /// were made stay.
    fn set_psk(&mut self, _identity: &str, _psk: Option<Psk>) {}
    /// Host: connections that are made from now on speak TLS with one of `psks`, the best first; with
    /// none, they speak no TLS.
    fn set_own_psks(&mut self, _psks: Vec<Psk>) {}
    /// Controller: name of the key that the host of a connection has proved to have. `None`: it does
    /// not speak TLS.
    fn identity_of(&self, _qp: QpHandle) -> Option<&str> {
        None
    }
    /// The transport of a connection, and this side's address where that is known.
    fn path_of(&self, _qp: QpHandle) -> (&'static str, Option<IpAddr>) {
        (self.limits().name, None)
    }
    /// Starts connecting; the outcome is `Established`, `Rejected` or `Disconnected`.
    fn connect(&mut self, now: Instant, to: SocketAddr, params: ConnectParams) -> QpHandle;
    /// Accepts a `ConnectRequest`. Outcome: `Established` (once the peer is ready) or `Disconnected`.
    fn accept(&mut self, now: Instant, qp: QpHandle, params: ConnectParams);
    /// Refuses a `ConnectRequest` with consumer private data (NVMe's status).
    fn reject(&mut self, now: Instant, qp: QpHandle, private: &[u8]);
    /// Ends a connection; outstanding work is flushed, then `Disconnected` follows.
    fn disconnect(&mut self, now: Instant, qp: QpHandle);
    /// Queues work. Errors: the work itself when the queue is full. On a dead or dying connection
    /// the work is taken and reported with `WrFlushErr`, unless `Disconnected` was already
    /// reported: then it is dropped silently.
    fn post(&mut self, qp: QpHandle, work: Work) -> Result<(), Full<Work>>;
    /// Receives, runs timers, and appends what happened to `out`.
    fn poll(&mut self, now: Instant, out: &mut Vec<FabricEvent>);
    /// Sends what was queued. Called once per turn, after everything was posted, so that equal
    /// packets leave together.
    fn flush(&mut self, now: Instant);
    /// When `poll` must be called even if nothing arrives. `None`: no timer runs.
    fn poll_timeout(&self) -> Option<Instant>;
    /// Descriptor to sleep on for arrivals. `None`: poll only.
    fn fd(&self) -> Option<std::os::fd::BorrowedFd<'_>> {
        None
    }
    /// Anything waiting that a sleep would delay (queued packets, events not taken).
    fn has_pending(&self) -> bool {
        false
    }
    /// Asked last before a sleep on [`Fabric::fd`]: arranges to be woken, and says whether nothing
    /// waits. After a sleep, or when it was refused, `poll` comes next.
    fn may_sleep(&self) -> bool {
        !self.has_pending()
    }
    /// Whether peers of ended connections are still given time to close them. Ended before that, the
    /// process would reset those connections.
    fn is_parting(&self) -> bool {
        false
    }
    /// Differs after a turn in which anything arrived or left, events or not.
    fn activity(&self) -> u64 {
        0
    }
    /// Counters by name, for reports.
    fn counters(&self, report: &mut dyn FnMut(&'static str, u64));
}
