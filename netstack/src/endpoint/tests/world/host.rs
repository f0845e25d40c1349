//! One host: an endpoint, its memory, and what it was told.

use super::super::super::{ConnEvent, Endpoint, EndpointConfig};
use super::REGION;
use crate::link::{Flows, LinkCaps};
use crate::table::Random;
use memory::{Access, Mr, Region, Sge};
use std::net::SocketAddr;
use std::time::Instant;
use verbs::{QpNum, RecvWr, Remote, SendOp, SendWr, SgeList, Wc, WrFlags};

/// One host.
pub(in super::super) struct Host {
    pub(in super::super) endpoint: Endpoint,
    pub(in super::super) addr: SocketAddr,
    pub(in super::super) region: Region,
    pub(in super::super) mr: Mr,
    /// Events and completions in the order in which they were told.
    pub(in super::super) told: Vec<Told>,
    /// When each was told.
    pub(in super::super) told_at: Vec<Instant>,
    /// Its polls do nothing any more.
    pub(in super::super) is_dead: bool,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(in super::super) enum Told {
    Event(ConnEvent),
    Wc(Wc),
}

impl Host {
    pub(in super::super) fn new(addr: SocketAddr, config: EndpointConfig) -> Host {
        let caps = LinkCaps {
            local: addr,
            path_mtu_bytes: 4096,
            native_mtu_bytes: 4096,
            burst_max: 64,
            same_host: false,
            verifies_icrc: true,
            flows: Flows::NONE,
        };
        let mut endpoint = Endpoint::new(config, &caps);
        let region = Region::allocate(REGION).unwrap();
        let access = Access::LOCAL_WRITE
            | Access::REMOTE_WRITE
            | Access::REMOTE_READ
            | Access::REMOTE_ATOMIC;
        let mr = endpoint.memory().register(&region, access).unwrap();
        Host { endpoint, addr, region, mr, told: Vec::new(), told_at: Vec::new(), is_dead: false }
    }
    pub(in super::super) fn sge(&self, offset: u32, length: u32) -> Sge {
        Sge { addr: self.mr.addr + u64::from(offset), length, lkey: self.mr.lkey }
    }
    pub(in super::super) fn remote(&self, offset: u32) -> Remote {
        Remote { addr: self.mr.addr + u64::from(offset), rkey: self.mr.rkey }
    }
    pub(in super::super) fn post(
        &mut self,
        qp: QpNum,
        wr_id: u64,
        op: SendOp,
        offset: u32,
        length: u32,
    ) {
        let sges = SgeList::from_slice(&[self.sge(offset, length)]);
        let flags = WrFlags { signaled: true, ..WrFlags::default() };
        self.endpoint.post_send(qp, SendWr { wr_id, op, sges, flags }).unwrap();
    }
    pub(in super::super) fn post_recv(&mut self, qp: QpNum, wr_id: u64, offset: u32, length: u32) {
        let sges = SgeList::from_slice(&[self.sge(offset, length)]);
        self.endpoint.post_recv(qp, RecvWr { wr_id, sges }).unwrap();
    }
    pub(in super::super) fn events(&self) -> Vec<ConnEvent> {
        let event = |told: &Told| match told {
            Told::Event(event) => Some(event.clone()),
            Told::Wc(_) => None,
        };
        self.told.iter().filter_map(event).collect()
    }
    pub(in super::super) fn wcs(&self) -> Vec<Wc> {
        let wc = |told: &Told| match told {
            Told::Event(_) => None,
            Told::Wc(wc) => Some(*wc),
        };
        self.told.iter().filter_map(wc).collect()
    }
    pub(in super::super) fn counter(&self, name: &str) -> u64 {
        let mut value = None;
        self.endpoint.counters(&mut |n, v| {
            if n == name {
                value = Some(v);
            }
        });
        value.expect("a counter of that name")
    }
    /// Takes all events, all completions, all events.
    pub(in super::super) fn listen_to_endpoint(&mut self) {
        let mut wcs = Vec::new();
        for _ in 0..2 {
            while let Some(event) = self.endpoint.poll_event() {
                self.told.push(Told::Event(event));
            }
            self.endpoint.poll_wc(&mut wcs);
            self.told.extend(wcs.drain(..).map(Told::Wc));
        }
    }
    pub(in super::super) fn paint(&self, offset: u32, length: u32, seed: u64) {
        let mut random = Random::new(seed);
        let octets: Vec<u8> = (0..length).map(|_| random.next_u32().to_le_bytes()[1]).collect();
        self.region.write(offset as usize, &octets);
    }
    pub(in super::super) fn octets(&self, offset: u32, length: u32) -> Vec<u8> {
        let mut octets = vec![0; length as usize];
        self.region.read(offset as usize, &mut octets);
        octets
    }
}
