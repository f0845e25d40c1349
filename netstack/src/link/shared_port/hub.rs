//! The threads on a port, what belongs to whom, and how packets come to them.

use super::super::udp::Port;
use super::super::{RxRing, UdpLink};
use super::names::{Name, named};
use rustix::event::{EventfdFlags, eventfd};
use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, TryLockError, Weak};

/// Packets that wait for a thread at most; more are dropped, as by a socket without room.
const WAITING_MAX: usize = 4096;
/// Names of one thread that are kept: those of its last connections, two each.
const NAMES_MAX: usize = 4096;

/// The ports that threads of this process are on.
static HUBS: Mutex<Vec<(SocketAddr, Weak<Hub>)>> = Mutex::new(Vec::new());

/// One port.
pub(super) struct Hub {
    port: Port,
    /// Held by who receives, until what is others' is in their inboxes: packets of one connection stay
    /// in order.
    receiving: Mutex<()>,
    members: AtomicUsize,
    /// Those of them that give way to marks; held until the socket's packets say so.
    giving_way: Mutex<usize>,
    owners: RwLock<HashMap<Name, Arc<Inbox>>>,
}

struct Parcel {
    octets: Vec<u8>,
    from: SocketAddr,
    ecn: u8,
}

#[derive(Default)]
struct Waiting {
    parcels: VecDeque<Parcel>,
    /// Buffers of parcels that were taken, for the next ones.
    spare: Vec<Vec<u8>>,
}

/// What waits for one thread.
pub(super) struct Inbox {
    waiting: Mutex<Waiting>,
    /// Something is in it: looked at without the lock.
    has: AtomicBool,
    is_asleep: AtomicBool,
    is_rung: AtomicBool,
    bell: OwnedFd,
    dropped: AtomicU64,
    /// Its names, oldest first.
    names: Mutex<VecDeque<Name>>,
}

/// Nothing panics while one of these locks is held but for lack of memory.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Hub {
    /// The port's hub, and a link of one's own on its socket.
    ///
    /// Errors: those of binding.
    pub(super) fn find_or_bind(addr: SocketAddr) -> io::Result<(Arc<Hub>, UdpLink)> {
        let mut hubs = lock(&HUBS);
        hubs.retain(|(_, hub)| hub.strong_count() > 0);
        let found = hubs.iter().find(|(at, _)| *at == addr).and_then(|(_, hub)| hub.upgrade());
        if let Some(hub) = found {
            let link = UdpLink::of(&hub.port)?;
            return Ok((hub, link));
        }
        let link = UdpLink::bind(addr)?;
        let hub = Arc::new(Hub {
            port: link.share()?,
            receiving: Mutex::new(()),
            members: AtomicUsize::new(0),
            giving_way: Mutex::new(0),
            owners: RwLock::new(HashMap::new()),
        });
        hubs.push((addr, Arc::downgrade(&hub)));
        Ok((hub, link))
    }

    /// One thread more. Errors: no descriptor is left.
    pub(super) fn join(&self) -> io::Result<Arc<Inbox>> {
        let inbox = Inbox::new()?;
        self.members.fetch_add(1, Ordering::SeqCst);
        Ok(Arc::new(inbox))
    }

    /// One less: its names are nobody's.
    pub(super) fn leave(&self, inbox: &Arc<Inbox>) {
        self.members.fetch_sub(1, Ordering::SeqCst);
        let mut owners = self.owners.write().unwrap_or_else(PoisonError::into_inner);
        owners.retain(|_, owner| !Arc::ptr_eq(owner, inbox));
    }

    /// A thread that gave way to marks, or did not, does so, or does not; `tell` hears whether all do.
    pub(super) fn give_way(&self, was: bool, is: bool, tell: impl FnOnce(bool)) {
        let mut giving_way = lock(&self.giving_way);
        *giving_way = *giving_way + usize::from(is) - usize::from(was);
        tell(*giving_way == self.members.load(Ordering::SeqCst));
    }

    /// Nobody else is on the port.
    pub(super) fn has_one(&self) -> bool {
        self.members.load(Ordering::SeqCst) == 1
    }

    /// The right to receive. `None`: another thread has it.
    pub(super) fn try_receive(&self) -> Option<MutexGuard<'_, ()>> {
        match self.receiving.try_lock() {
            Ok(guard) => Some(guard),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Peers will use these names for the thread of `inbox`. A name that is another's stays so: the
    /// connection that was there first is not harmed.
    pub(super) fn introduce(&self, inbox: &Arc<Inbox>, names: [Name; 2]) {
        let mut owners = self.owners.write().unwrap_or_else(PoisonError::into_inner);
        let mut own = lock(&inbox.names);
        for name in names {
            if owners.contains_key(&name) {
                continue;
            }
            owners.insert(name, Arc::clone(inbox));
            own.push_back(name);
            if own.len() > NAMES_MAX
                && let Some(oldest) = own.pop_front()
            {
                owners.remove(&oldest);
            }
        }
    }

    /// Moves the packets from `first` on that belong to others into their inboxes. Returns how many.
    /// What belongs to nobody stays: it is counted where it is refused.
    pub(super) fn hand_over(&self, inbox: &Arc<Inbox>, ring: &mut RxRing, first: usize) -> usize {
        let owners = self.owners.read().unwrap_or_else(PoisonError::into_inner);
        let mut handed_over = 0;
        ring.retain_from(first, |octets, packet| {
            let owner = named(octets).and_then(|name| owners.get(&name));
            let Some(owner) = owner.filter(|owner| !Arc::ptr_eq(owner, inbox)) else { return true };
            owner.put(octets, packet.from, packet.ecn);
            handed_over += 1;
            false
        });
        handed_over
    }
}

impl Inbox {
    fn new() -> io::Result<Inbox> {
        Ok(Inbox {
            waiting: Mutex::new(Waiting::default()),
            has: AtomicBool::new(false),
            is_asleep: AtomicBool::new(false),
            is_rung: AtomicBool::new(false),
            bell: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
            dropped: AtomicU64::new(0),
            names: Mutex::new(VecDeque::new()),
        })
    }

    pub(super) fn bell(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }
    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    fn put(&self, octets: &[u8], from: SocketAddr, ecn: u8) {
        {
            let mut waiting = lock(&self.waiting);
            if waiting.parcels.len() >= WAITING_MAX {
                self.dropped.fetch_add(1, Ordering::Relaxed);
                return;
            }
            let mut buffer = waiting.spare.pop().unwrap_or_default();
            buffer.clear();
            buffer.extend_from_slice(octets);
            waiting.parcels.push_back(Parcel { octets: buffer, from, ecn });
        }
        self.has.store(true, Ordering::SeqCst);
        if self.is_asleep.swap(false, Ordering::SeqCst) {
            self.ring();
        }
    }

    fn ring(&self) {
        self.is_rung.store(true, Ordering::SeqCst);
        // A bell that cannot be rung more often was not heard yet.
        let _ = rustix::io::write(&self.bell, &1_u64.to_ne_bytes());
    }

    /// Its owner goes to sleep on the bell: rung at once if something came meanwhile.
    pub(super) fn sleeps(&self) {
        self.is_asleep.store(true, Ordering::SeqCst);
        if self.has.load(Ordering::SeqCst) && self.is_asleep.swap(false, Ordering::SeqCst) {
            self.ring();
        }
    }

    /// Its owner looks.
    pub(super) fn awake(&self) {
        if self.is_asleep.load(Ordering::Relaxed) {
            self.is_asleep.store(false, Ordering::SeqCst);
        }
        if self.is_rung.load(Ordering::Relaxed) && self.is_rung.swap(false, Ordering::SeqCst) {
            // Whether it was quiet already does not matter.
            let _ = rustix::io::read(&self.bell, &mut [0; 8]);
        }
    }

    /// Copies what waits into `ring`, as much as has room. Returns the packets.
    pub(super) fn take_into(&self, ring: &mut RxRing) -> usize {
        if !self.has.load(Ordering::SeqCst) {
            return 0;
        }
        let mut waiting = lock(&self.waiting);
        let mut taken = 0;
        while let Some(parcel) = waiting.parcels.front()
            && ring.has_room(parcel.octets.len())
        {
            let Some(Parcel { octets, from, ecn }) = waiting.parcels.pop_front() else { break };
            ring.copy_in(&octets, from, ecn);
            waiting.spare.push(octets);
            taken += 1;
        }
        // Under the lock, so that what comes next is not overlooked.
        self.has.store(!waiting.parcels.is_empty(), Ordering::SeqCst);
        taken
    }
}
