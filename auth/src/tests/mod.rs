//! Both machines against each other, and against peers that misbehave.

mod channels;
mod known_answers;
mod misuse;
mod pairs;
mod tls_keys;

use crate::*;
use std::sync::Arc;
use std::time::Instant;
use wire::fabrics::auth::MESSAGE_BYTES_MAX;

pub(super) const HOST: &str = "nqn.2014-08.org.example:host";
pub(super) const SUBSYSTEM: &str = "nqn.2026-11.org.example:disk";
/// A key of the octets 0 to 31, as it is.
pub(super) const PLAIN: &str = "DHHC-1:00:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh+KfiaR:";
/// The same, to be bound to an NQN.
pub(super) const BOUND: &str = "DHHC-1:01:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh+KfiaR:";
/// A key of the octets 0 to 63, to be bound with SHA-512.
pub(super) const LONG: &str = "DHHC-1:03:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+P4zODhA=:";

pub(super) fn secret(text: &str) -> Secret {
    text.parse().unwrap()
}
pub(super) fn names() -> Names {
    Names { host: HOST.into(), subsystem: SUBSYSTEM.into() }
}
#[expect(clippy::disallowed_methods, reason = "tests need some instant to count from")]
pub(super) fn now() -> Instant {
    Instant::now()
}

/// Octets that repeat from test to test.
pub(super) fn dice(seed: u8) -> impl FnMut(&mut [u8]) {
    let mut state = u64::from(seed) + 1;
    move |octets| {
        for octet in octets {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            *octet = state.to_be_bytes()[0];
        }
    }
}

pub(super) fn controller(credentials: Credentials) -> ControllerSide {
    ControllerSide::new(now(), Arc::new(credentials), names())
}
pub(super) fn host(keys: HostKeys) -> (HostSide, Step) {
    HostSide::start(Arc::new(keys), names(), 0x0506)
}

/// How a conversation ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct End {
    pub host: Result<(HashId, DhGroup), HostAuthError>,
    pub controller: Result<(), FailureReason>,
}

/// Sends `octets` to the controller, computing what it asks for.
pub(super) fn send(controller: &mut ControllerSide, octets: &[u8]) -> Sent {
    match controller.handle_send(now(), octets, &mut dice(2)) {
        Sent::Compute(job) => {
            controller.handle_agreed(job.compute());
            Sent::Taken
        }
        sent @ (Sent::Taken | Sent::Busy | Sent::Ended(_)) => sent,
    }
}

/// Lets them talk until the host is done.
pub(super) fn converse(controller: &mut ControllerSide, start: (HostSide, Step)) -> End {
    let (mut host, mut step) = start;
    let mut ended = None;
    loop {
        step = match step {
            Step::Send(octets) => {
                if let Sent::Ended(reason) = send(controller, &octets) {
                    ended = Some(reason);
                }
                host.handle_sent()
            }
            Step::Receive => {
                let mut octets = Vec::new();
                let given = controller.handle_receive(MESSAGE_BYTES_MAX, &mut octets);
                if let Some(Received::Failed(reason)) = given {
                    ended = Some(reason);
                }
                host.handle_received(&octets, &mut dice(1))
            }
            Step::Compute(job) => host.handle_agreed(job.compute()),
            Step::Done { hash, group, .. } => {
                let controller = ended.map_or(Ok(()), Err);
                return End { host: Ok((hash, group)), controller };
            }
            Step::Failed(why) => {
                let controller = ended.map_or(Ok(()), Err);
                return End { host: Err(why), controller };
            }
        }
    }
}
