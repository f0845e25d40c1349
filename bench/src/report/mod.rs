//! What comes after a run of [`compare`](crate::compare): tables, a page with plots, and what
//! changed since an older run. All of it is a function of the record.
//!
//! [`stats`]: medians and ratios, which also fill the record. [`table`]: for a terminal.
//! [`html`]: a page. [`against`]: two records side by side.

pub mod against;
mod axis;
mod bars;
mod columns;
mod curves;
#[cfg(test)]
mod fixture;
pub mod format;
pub mod html;
mod lines;
mod palette;
mod plots;
mod sections;
pub mod stats;
mod svg;
pub mod table;
#[cfg(test)]
mod tests;
pub mod verdict;
mod xml;
