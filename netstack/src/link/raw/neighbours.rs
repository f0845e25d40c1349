//! Which Ethernet address leads to a peer: learnt from what peers answer.
//!
//! Nothing is asked by this side: the first packets to a peer leave by the kernel's socket, which
//! knows routes and resolves addresses, and the answer says which device address it came from. So
//! it goes again whenever a peer was silent for long: what the kernel knows by then counts.

use super::frame::Mac;
use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// An Ethernet address that was not heard from for so long is asked for anew.
const SILENCE: Duration = Duration::from_secs(10);
/// Peers kept at most; others stay with the kernel's socket.
const PEERS_MAX: usize = 4096;

/// One peer.
#[derive(Clone, Copy, Debug)]
struct Neighbour {
    mac: Mac,
    /// When it was last heard from there. `None`: it was only spoken to.
    heard: Option<Instant>,
}

/// The peers.
#[derive(Debug, Default)]
pub(super) struct Neighbours {
    peers: HashMap<IpAddr, Neighbour>,
}

impl Neighbours {
    /// Where frames to a peer go. `None`: not known (any more); its next answer is learnt from.
    pub(super) fn find(&mut self, now: Instant, peer: IpAddr) -> Option<Mac> {
        let fresh = |heard: Instant| now.saturating_duration_since(heard) < SILENCE;
        if let Some(known) = self.peers.get_mut(&peer) {
            known.heard = known.heard.filter(|&heard| fresh(heard));
            return known.heard.map(|_| known.mac);
        }
        if self.peers.len() >= PEERS_MAX {
            self.peers.retain(|_, known| known.heard.is_some_and(fresh));
        }
        if self.peers.len() < PEERS_MAX {
            self.peers.insert(peer, Neighbour { mac: Mac::default(), heard: None });
        }
        None
    }

    /// Where frames to a peer go that [`Neighbours::find`] knew a moment ago.
    pub(super) fn mac(&self, peer: IpAddr) -> Mac {
        self.peers.get(&peer).map(|known| known.mac).unwrap_or_default()
    }

    /// A frame came from there. Only who was spoken to is learnt, and while a peer is heard from one
    /// address, another that claims to be it changes nothing.
    pub(super) fn hear(&mut self, now: Instant, peer: IpAddr, mac: Mac) {
        let Some(known) = self.peers.get_mut(&peer) else { return };
        let is_other = |heard: Instant| now.saturating_duration_since(heard) < SILENCE;
        if known.mac != mac && known.heard.is_some_and(is_other) {
            return;
        }
        *known = Neighbour { mac, heard: Some(now) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Mac = [2, 0, 0, 0, 0, 1];
    const B: Mac = [2, 0, 0, 0, 0, 2];

    /// Goal: who was not spoken to is not learnt; one that claims to be a live peer changes nothing;
    /// after a silence the kernel's way is taken, and what it finds counts.
    #[test]
    fn peers_are_learnt_from_answers() {
        let (start, peer) = (Instant::now(), IpAddr::from([10, 0, 0, 1]));
        let at = |secs| start + Duration::from_secs(secs);
        let mut peers = Neighbours::default();
        peers.hear(start, peer, B);
        assert_eq!(peers.find(start, peer), None, "it spoke first: still to be resolved");
        peers.hear(start, peer, A);
        assert_eq!(peers.find(start, peer), Some(A));
        peers.hear(at(5), peer, B);
        assert_eq!(peers.find(at(5), peer), Some(A), "not taken over");
        peers.hear(at(6), peer, A);
        assert_eq!(peers.find(at(15), peer), Some(A));
        assert_eq!(peers.find(at(16), peer), None, "silent");
        peers.hear(at(17), peer, B);
        assert_eq!(peers.find(at(17), peer), Some(B), "it moved");
    }

    /// Goal: a flood of addresses is bounded, and peers that are heard from stay.
    #[test]
    fn a_flood_is_bounded() {
        let now = Instant::now();
        let mut peers = Neighbours::default();
        let peer = |n: u32| IpAddr::from(n.to_be_bytes());
        peers.find(now, peer(1));
        peers.hear(now, peer(1), A);
        for n in 2..3 * 4096 {
            peers.find(now, peer(n));
        }
        assert!(peers.peers.len() <= PEERS_MAX);
        assert_eq!(peers.find(now, peer(1)), Some(A));
    }
}
