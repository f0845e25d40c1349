//! Endpoints in one world with virtual time.

mod attacks;
#[expect(clippy::cast_precision_loss, reason = "octets of a tenth of a second")]
mod congestion;
mod connections;
mod cost;
#[expect(clippy::cast_precision_loss, reason = "octets of a tenth of a second")]
mod goodput;
mod hostile;
mod load;
mod loss_matrix;
mod losses;
mod many;
mod pipe;
mod stock;
mod traffic;
mod verbs_face;
mod world;
