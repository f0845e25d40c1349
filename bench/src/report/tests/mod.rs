//! The report on a record that nobody measured.

mod against;
mod edges;
mod page;
mod ratios;
