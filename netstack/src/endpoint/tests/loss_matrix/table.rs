//! The matrix as text.

use super::RTT;
use std::fmt;
use std::time::Duration;
use wire::roce::PacketKind;

/// What a fault cost.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cost {
    /// Beyond the run without it.
    pub(super) time: Duration,
    /// Sent beyond the run without it.
    pub(super) packets: usize,
}

/// One packet, and what each fault of it cost.
pub(super) struct Row {
    pub(super) operation: &'static str,
    /// That the operation takes without a fault.
    pub(super) packets: usize,
    pub(super) kind: PacketKind,
    pub(super) n: u64,
    pub(super) costs: [Cost; 5],
}

/// Rows, and the timer in which their times are told.
pub(super) struct Table {
    timer: Duration,
    rows: Vec<Row>,
}

impl Table {
    pub(super) fn new(timer: Duration) -> Table {
        Table { timer, rows: Vec::new() }
    }
    pub(super) fn push(&mut self, row: Row) {
        self.rows.push(row);
    }
    /// Round trips with one decimal, `T` for the timer, then the packets: `T+1.0 (2)`, `-` for none.
    fn cell(&self, cost: Cost) -> String {
        let (timer, rest) = match cost.time.checked_sub(self.timer) {
            Some(rest) => ("T+", rest),
            None => ("", cost.time),
        };
        let tenths = (rest.as_nanos() * 10 + RTT.as_nanos() / 2) / RTT.as_nanos();
        match (cost.time.is_zero(), cost.packets) {
            (true, 0) => "-".to_owned(),
            (_, 0) => format!("{timer}{}.{}", tenths / 10, tenths % 10),
            (_, packets) => format!("{timer}{}.{} ({packets})", tenths / 10, tenths % 10),
        }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "| operation (packets) | packet | lost | corrupt | late | reordered | twice |"
        )?;
        writeln!(f, "|---|---|---|---|---|---|---|")?;
        let mut before = "";
        for row in &self.rows {
            let operation = match row.operation == before {
                true => String::new(),
                false => format!("{} ({})", row.operation, row.packets),
            };
            before = row.operation;
            write!(f, "| {operation} | {} {} |", row.kind.as_str(), row.n)?;
            for cost in row.costs {
                write!(f, " {} |", self.cell(cost))?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}
