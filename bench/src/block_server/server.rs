//! The server's application.

use super::{ANSWER_BYTES, ANSWER_LEN, HEADER_BYTES, HEADER_LEN, Header, Index, Sums, Work};
use memory::{Access, Lender, Mr, Region, Sge};
use netstack::fabric::{Fabric, FabricEvent, Full, Gather, QpHandle, Work as Posted, WorkOp};
use std::io;
use std::time::Instant;

/// Answered: the block is stored.
const STORED: u32 = 0;
/// Answered: the block is not what its CRC says. The one before it stays.
const BAD_CRC: u32 = 1;
/// In the tokens of answers.
const ANSWER: u64 = 1 << 63;

/// Serves blocks from one thread.
pub struct Server<F> {
    fabric: F,
    work: Work,
    headers: Region,
    headers_mr: Mr,
    answers: Region,
    answers_mr: Mr,
    blocks: Lender,
    blocks_mr: Mr,
    index: Option<Index>,
    /// Sums that the NIC left; `None`: this thread sums.
    sums: Option<Sums>,
    /// Where each receive's next block lands.
    landing: Vec<u32>,
    /// Where each key's block is.
    stored: Vec<u32>,
    qps: Vec<QpHandle>,
    arrived: Vec<Arrived>,
    keys: Vec<u64>,
    events: Vec<FabricEvent>,
    bad_blocks: u64,
    served: u64,
}

#[derive(Clone, Copy)]
struct Arrived {
    qp: QpHandle,
    recv: u32,
    tag: u32,
    crc: u32,
    len: u32,
}

impl<F: Fabric> Server<F> {
    /// A server whose blocks lie in `store`. `index`: for work that serves. `sums`: filled by the
    /// NIC's handler over the same store.
    ///
    /// Errors: memory, or a store that is too small for the work.
    pub fn new(
        mut fabric: F,
        work: Work,
        store: Region,
        index: Option<Index>,
        sums: Option<Sums>,
    ) -> io::Result<Server<F>> {
        let receives = work.connections * work.recv_depth;
        let blocks = u32::try_from(store.len() / work.block_bytes as usize).unwrap_or(u32::MAX);
        let landing_blocks = if work.serves { receives } else { work.landing_blocks };
        if blocks < 2 * landing_blocks || landing_blocks == 0 {
            return Err(io::Error::other("the store is too small for what may arrive at once"));
        }
        let headers = Region::allocate(receives as usize * HEADER_LEN)?;
        let answers = Region::allocate(receives as usize * ANSWER_LEN)?;
        let mut register =
            |region| fabric.register(region, Access::LOCAL_WRITE).map_err(io::Error::other);
        let (headers_mr, answers_mr) = (register(&headers)?, register(&answers)?);
        let blocks_mr = register(&store)?;
        fabric.listen(super::PORT);
        Ok(Server {
            fabric,
            work,
            headers,
            headers_mr,
            answers,
            answers_mr,
            blocks: Lender::new(store, 0, 64),
            blocks_mr,
            index,
            sums,
            landing: (0..receives).map(|recv| recv % landing_blocks).collect(),
            stored: (landing_blocks..blocks).collect(),
            qps: Vec::new(),
            arrived: Vec::new(),
            keys: Vec::new(),
            events: Vec::new(),
            bad_blocks: 0,
            served: 0,
        })
    }
    /// The fabric, for what only its owner knows.
    pub fn fabric(&self) -> &F {
        &self.fabric
    }
    /// Blocks answered, and of them those that failed their CRC.
    #[must_use]
    pub fn served(&self) -> (u64, u64) {
        (self.served, self.bad_blocks)
    }

    /// Receives, serves what came, answers. Whether anything happened.
    pub fn turn(&mut self, now: Instant) -> bool {
        let mut events = std::mem::take(&mut self.events);
        self.fabric.poll(now, &mut events);
        let did_work = !events.is_empty();
        for event in events.drain(..) {
            self.handle(now, event);
        }
        self.events = events;
        self.serve();
        self.fabric.flush(now);
        did_work
    }

    fn handle(&mut self, now: Instant, event: FabricEvent) {
        match event {
            FabricEvent::ConnectRequest { qp, .. } => self.accept(now, qp),
            FabricEvent::Recv { qp, token, len, .. } => self.arrived(qp, token, len),
            // Answers are unsignalled: what fails ends its connection.
            FabricEvent::Established { .. }
            | FabricEvent::Done { .. }
            | FabricEvent::Rejected { .. }
            | FabricEvent::Disconnected { .. } => {}
        }
    }

    fn accept(&mut self, now: Instant, qp: QpHandle) {
        let first = u32::try_from(self.qps.len()).unwrap_or(u32::MAX);
        if first >= self.work.connections {
            return self.fabric.reject(now, qp, &[]);
        }
        self.qps.push(qp);
        // Queues of the accepted depth take all of these.
        self.fabric.accept(now, qp, self.work.connect_params());
        for recv in first * self.work.recv_depth..(first + 1) * self.work.recv_depth {
            self.post_receive(qp, recv);
        }
    }

    fn post_receive(&mut self, qp: QpHandle, recv: u32) {
        let header = Sge {
            addr: self.headers_mr.addr + u64::from(recv) * u64::from(HEADER_BYTES),
            length: HEADER_BYTES,
            lkey: self.headers_mr.lkey,
        };
        let block = u64::from(self.landing[recv as usize]) * u64::from(self.work.block_bytes);
        let block = Sge {
            addr: self.blocks_mr.addr + block,
            length: self.work.block_bytes,
            lkey: self.blocks_mr.lkey,
        };
        let local = Gather::two(header, block);
        self.post(qp, Posted { token: u64::from(recv), op: WorkOp::Recv, local, signaled: true });
    }

    fn post(&mut self, qp: QpHandle, mut work: Posted) {
        // Queues are as deep as what can be posted at once; only a pipe's ring may be full for a
        // moment, until its other end takes what is there.
        while let Err(Full(back)) = self.fabric.post(qp, work) {
            work = back;
            self.fabric.flush(Instant::now());
            std::thread::yield_now();
        }
    }

    fn arrived(&mut self, qp: QpHandle, token: u64, len: u32) {
        let recv = u32::try_from(token).unwrap_or(0);
        let mut octets = [0; 16];
        self.headers.read(recv as usize * HEADER_LEN, &mut octets);
        let Header { tag, key, crc } = Header::decode(&octets);
        self.arrived.push(Arrived { qp, recv, tag, crc, len });
        self.keys.push(key);
    }

    /// Everything that came in this turn, side by side.
    fn serve(&mut self) {
        if let Some(index) = self.index.as_ref().filter(|_| self.work.serves) {
            index.walk(&mut self.keys);
        }
        for at in 0..self.arrived.len() {
            let (arrived, key) = (self.arrived[at], self.keys[at]);
            let status = if self.work.serves { self.store(&arrived, key) } else { STORED };
            self.answer(&arrived, status);
        }
        self.served += self.arrived.len() as u64;
        self.arrived.clear();
        self.keys.clear();
    }

    /// Makes the block that landed the one of its key; the one before is where the next lands.
    fn store(&mut self, arrived: &Arrived, key: u64) -> u32 {
        let landed = self.landing[arrived.recv as usize];
        let whole = arrived.len == self.work.message_bytes();
        if !whole || self.sum(landed) != arrived.crc {
            self.bad_blocks += 1;
            return BAD_CRC;
        }
        let entry = usize::try_from(key % self.stored.len() as u64).unwrap_or(0);
        self.landing[arrived.recv as usize] = std::mem::replace(&mut self.stored[entry], landed);
        STORED
    }

    fn sum(&mut self, block: u32) -> u32 {
        let len = self.work.block_bytes;
        let sum = self.sums.as_ref().and_then(|sums| sums.take(block as usize, len));
        sum.unwrap_or_else(|| {
            let block = self.blocks.lend(block as usize * len as usize, len as usize);
            let crc = crc32c::crc32c(block.bytes());
            self.blocks.take_back(block);
            crc
        })
    }

    fn answer(&mut self, arrived: &Arrived, status: u32) {
        // The client sends into this receive again only after it had this answer: its place is free.
        let offset = arrived.recv as usize * ANSWER_LEN;
        let mut octets = [0; ANSWER_LEN];
        octets[..4].copy_from_slice(&arrived.tag.to_le_bytes());
        octets[4..].copy_from_slice(&status.to_le_bytes());
        self.answers.write(offset, &octets);
        self.post_receive(arrived.qp, arrived.recv);
        let addr = self.answers_mr.addr + offset as u64;
        let sge = Sge { addr, length: ANSWER_BYTES, lkey: self.answers_mr.lkey };
        let op = WorkOp::Send { invalidate: None };
        let token = ANSWER | u64::from(arrived.recv);
        self.post(arrived.qp, Posted { token, op, local: Gather::one(sge), signaled: false });
    }
}
