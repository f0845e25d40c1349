//! Endpoints in one world with virtual time.

mod connections;
mod cost;
mod hostile;
mod loss_matrix;
mod losses;
mod many;
mod stock;
mod traffic;
mod verbs_face;
mod world;
