//! Endpoints in one world with virtual time.

mod attacks;
mod connections;
mod cost;
mod hostile;
mod losses;
mod many;
mod stock;
mod traffic;
mod verbs_face;
mod world;
