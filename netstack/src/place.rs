//! The one door by which payload leaves a received packet.

use memory::Span;

/// Placement of received payload into its final memory: the DPA's job (FlexiNS: "in-cache RX").
///
/// The transport has checked key, bounds and rights; `span` is exactly where `payload` belongs.
pub trait Place {
    /// Copies `payload` into `span`, once. Both have the same length.
    fn place(&mut self, span: Span<'_>, payload: &[u8]);
}
