use super::*;
use std::fmt::Write;

const STATES: [State; 5] =
    [State::ReqSent, State::Requested, State::RepSent, State::Established, State::DreqSent];
const EVENTS: [Event; 13] = [
    Event::Req,
    Event::Rep,
    Event::Rtu,
    Event::Rej,
    Event::Mra,
    Event::Dreq,
    Event::Drep,
    Event::Data,
    Event::Timer,
    Event::Spent,
    Event::Accept,
    Event::Reject,
    Event::Disconnect,
];

/// The whole table, so that a change shows as a change of the drawing.
#[test]
fn the_table() {
    let mut drawing = String::new();
    for state in STATES {
        for event in EVENTS {
            let (next, act) = step(state, event);
            if act != Act::Ignore {
                let next = next.map_or("closed".to_owned(), |next| format!("{next:?}"));
                writeln!(drawing, "{state:?} + {event:?} -> {next}: {act:?}").unwrap();
            }
        }
    }
    insta::assert_snapshot!(drawing);
}

/// Every state ends: without answers (`Spent`, or `Timer` while the application thinks), and when
/// the application wants it.
#[test]
fn every_state_ends() {
    for state in STATES {
        let mut at = Some(state);
        for event in [Event::Disconnect, Event::Timer, Event::Spent] {
            at = at.and_then(|state| step(state, event).0);
        }
        assert_eq!(at, None, "{state:?} does not end");
    }
}
