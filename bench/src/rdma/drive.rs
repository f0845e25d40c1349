//! The loop that runs a tool on a NIC, with a real clock.

use super::{Event, Fault, Tool};
use dpa::nic::Nic;
use initiator::Waiter;
use netstack::endpoint::{ConnEvent, Endpoint};
use netstack::fabric::Fabric;
use netstack::link::Link;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use verbs::WcStatus;

/// A sleep ends at least this often, to hear a signal that arrived between look and sleep.
const SLEEP_MAX: Duration = Duration::from_millis(100);
/// The peer has this long to hear of the end, and to be answered again if it did not.
const FAREWELL: Duration = Duration::from_millis(100);
/// After its user asked, a tool has this long to end in order.
const INTERRUPTED_MAX: Duration = Duration::from_secs(2);

/// Runs `tool` until it is over, or `stop` says so. `say` gets its lines.
///
/// Errors: why it did not do all that was asked; an interrupted run is no error.
pub fn drive<L: Link, T: Tool>(
    nic: &mut Nic<L>,
    tool: &mut T,
    mut waiter: Waiter,
    stop: &AtomicBool,
    say: &mut dyn FnMut(String),
) -> Result<(), Fault> {
    tool.start(Instant::now(), nic.endpoint_mut())?;
    let mut latest_end = None;
    let mut outcome = Ok(());
    while outcome.is_ok() && !tool.is_over() {
        let now = Instant::now();
        if latest_end.is_none() && stop.load(Ordering::Relaxed) {
            tool.interrupt(now, nic.endpoint_mut());
            latest_end = Some(now + INTERRUPTED_MAX);
        }
        if latest_end.is_some_and(|at| now >= at) {
            break;
        }
        let before = nic.activity();
        nic.receive(now);
        nic.run_timers(now);
        outcome = turn(now, nic.endpoint_mut(), tool);
        nic.transmit(now);
        while let Some(line) = tool.take_note() {
            say(line);
        }
        let next = [nic.poll_timeout(), tool.deadline()].into_iter().flatten().min();
        let until = next.map_or(now + SLEEP_MAX, |at| at.min(now + SLEEP_MAX));
        waiter.idle(nic, nic.activity() != before, now, Some(until));
    }
    if outcome.is_err() {
        tool.interrupt(Instant::now(), nic.endpoint_mut());
    }
    take_leave(nic, waiter);
    outcome
}

/// Tells a tool what happened since the last turn.
pub(super) fn turn<T: Tool>(now: Instant, verbs: &mut Endpoint, tool: &mut T) -> Result<(), Fault> {
    events(now, verbs, tool)?;
    while let Some(wc) = verbs.next_wc() {
        // What is flushed belongs to a connection whose end is told next.
        if wc.status != WcStatus::WrFlushErr {
            tool.handle(now, verbs, Event::Done(wc))?;
        }
    }
    events(now, verbs, tool)?;
    tool.handle_turn(now, verbs)?;
    if !tool.is_over() && tool.patience().is_some_and(|at| now >= at) {
        tool.handle_silence(now, verbs)?;
    }
    Ok(())
}

fn events<T: Tool>(now: Instant, verbs: &mut Endpoint, tool: &mut T) -> Result<(), Fault> {
    while let Some(event) = verbs.poll_event() {
        tool.handle(now, verbs, event.into())?;
    }
    Ok(())
}

/// Closes what is open; peers hear of it, again if a packet is lost.
fn take_leave<L: Link>(nic: &mut Nic<L>, mut waiter: Waiter) {
    let until = Instant::now() + FAREWELL;
    loop {
        let now = Instant::now();
        nic.receive(now);
        nic.run_timers(now);
        let verbs = nic.endpoint_mut();
        while verbs.next_wc().is_some() {}
        while let Some(event) = verbs.poll_event() {
            if let ConnEvent::ConnectRequest { qp, .. } = event {
                verbs.reject(now, qp, &[]);
            }
        }
        nic.transmit(now);
        if now >= until {
            return;
        }
        waiter.idle(nic, false, now, Some(until));
    }
}
