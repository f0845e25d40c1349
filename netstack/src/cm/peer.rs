//! Who the peer is: a stock RoCE host, or another FlexBlk endpoint.

use crate::link::ROCE_PORT;
use std::net::SocketAddr;
use wire::cm::NativeOffer;

/// What the marker in a CM message's private data says about its sender.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Marker {
    /// Octets of payload per native packet; 0: the sender speaks no native mode of our version, or
    /// was told not to.
    pub(crate) payload_bytes_max: u16,
    /// It wants a CRC on native packets.
    pub(crate) wants_crc: bool,
}

/// Octets that the marker takes at the end of private data.
pub(crate) const MARKER_LEN: usize = NativeOffer::LEN;

impl Marker {
    /// A marker that says no more than "answer where this came from".
    pub(crate) const PLAIN: Marker = Marker { payload_bytes_max: 0, wants_crc: false };

    /// Reads private data to its end. `None`: a stock peer. A FlexBlk endpoint of another version
    /// is one without native mode.
    pub(crate) fn find(private: &[u8]) -> Option<Marker> {
        if let Some(offer) = NativeOffer::find(private) {
            let (payload_bytes_max, wants_crc) = (offer.payload_bytes_max(), offer.wants_crc());
            return Some(Marker { payload_bytes_max, wants_crc });
        }
        let raw = NativeOffer::from_octets(*private.last_chunk()?);
        (raw.magic() == NativeOffer::MAGIC).then_some(Marker::PLAIN)
    }

    /// Writes it at the end of `private`, unless the consumer's `used` octets reach there.
    pub(crate) fn place(self, private: &mut [u8], used: usize) {
        if used + MARKER_LEN <= private.len() {
            NativeOffer::new(self.payload_bytes_max, self.wants_crc).place(private);
        }
    }
}

/// Where answers to a message from `from` go: RoCE says port 4791; to a FlexBlk endpoint, the port
/// that it sent from, so that many processes share one address.
pub(crate) fn answer_to(from: SocketAddr, is_flexblk: bool) -> SocketAddr {
    if is_flexblk { from } else { SocketAddr::new(from.ip(), ROCE_PORT) }
}

/// The consumer's part of private data, without the marker.
pub(crate) fn consumer_part(private: &[u8]) -> Vec<u8> {
    let marked = Marker::find(private).is_some();
    let len = if marked { private.len() - MARKER_LEN } else { private.len() };
    private.get(..len).unwrap_or_default().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The marker is found only at the very end, survives a consumer that leaves it room, and is
    /// cut off what the consumer gets.
    #[test]
    fn marker_shares_the_private_data() {
        let marker = Marker { payload_bytes_max: 4096, wants_crc: true };
        let mut private = [0u8; 56];
        private[..32].fill(7);
        marker.place(&mut private, 32);
        assert_eq!(Marker::find(&private), Some(marker));
        assert_eq!(consumer_part(&private), [7; 32]);
        let mut full = [9u8; 56];
        marker.place(&mut full, 33);
        assert_eq!((Marker::find(&full), consumer_part(&full).len()), (None, 56));
        assert_eq!(Marker::find(&[0; 4]), None);
    }

    /// Another version of ours is answered at its port, without native mode.
    #[test]
    fn other_versions_are_flexblk_without_native_mode() {
        let mut offer = NativeOffer::new(4096, false);
        offer.set_version(9);
        assert_eq!(Marker::find(offer.as_octets()), Some(Marker::PLAIN));
    }
}
