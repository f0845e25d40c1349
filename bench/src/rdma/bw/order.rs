//! The order in which a client does things: as perftest's, to the message.

use super::Verb;
use super::exchange::{Kind, REPORT_VALUES};

/// What is done next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Step {
    /// Connect for the agreement.
    Greet,
    /// Say this, and hear the same kind.
    Say(Kind),
    /// Connect for the test.
    Connect,
    Run,
    /// The server closes the test's connection.
    Close,
}

/// Before the test: greeting, a meeting before and after the second connection, queue pairs, and
/// meetings until both are ready.
const BEFORE: [Step; 11] = [
    Step::Greet,
    Step::Say(Kind::Version),
    Step::Say(Kind::PageBytes),
    Step::Say(Kind::CacheLineBytes),
    Step::Say(Kind::Mtu),
    Step::Say(Kind::Dest),
    Step::Connect,
    Step::Say(Kind::Dest),
    Step::Say(Kind::Dest),
    Step::Say(Kind::Dest),
    Step::Say(Kind::Dest),
];

/// The order of a whole test. Source: perftest 4.5, the four programs' main functions.
pub(super) fn steps(verb: Verb) -> Vec<Step> {
    let mut steps = BEFORE.to_vec();
    if verb == Verb::Send {
        // Once more, when the peer's receives are posted.
        steps.extend([Step::Say(Kind::Dest), Step::Run]);
    } else {
        steps.extend([Step::Run, Step::Say(Kind::Dest)]);
        steps.extend((0..REPORT_VALUES).map(|number| Step::Say(Kind::Report(number))));
    }
    steps.extend([Step::Say(Kind::Dest), Step::Close]);
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: as often as perftest 4.5's servers answer, counted on a wire with its clients: one meeting
    /// more or less, and both sides wait for each other.
    #[test]
    fn the_order_is_perftests() {
        for (verb, before, after) in [(Verb::Send, 6, 1), (Verb::Write, 5, 2), (Verb::Read, 5, 2)] {
            let steps = steps(verb);
            let run = steps.iter().position(|step| *step == Step::Run).unwrap();
            let meetings = |steps: &[Step]| {
                steps.iter().filter(|step| **step == Step::Say(Kind::Dest)).count()
            };
            assert_eq!(
                (meetings(&steps[..run]), meetings(&steps[run..])),
                (before, after),
                "{verb:?}"
            );
        }
    }
}
