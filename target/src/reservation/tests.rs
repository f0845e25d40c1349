use super::*;
use crate::fault::Fault;
use wire::nvme::Status;
use wire::nvme::reservation::{ReservationCmd, ReservationKeys, ReservationType as T};

const A: HostId = [0xa; 16];
const B: HostId = [0xb; 16];
const C: HostId = [0xc; 16];
const CONFLICT: Status = Status::RESERVATION_CONFLICT.do_not_retry();
const INVALID: Status = Status::INVALID_FIELD.do_not_retry();

/// The key with which `host` is registered here.
fn key(host: HostId) -> u64 {
    u64::from(host[0])
}
fn keys(current: u64, other: u64) -> ReservationKeys {
    let mut keys = ReservationKeys::zeroed();
    keys.set_current(current).set_other(other);
    keys
}
fn status(outcome: Result<Outcome, Fault>) -> Result<Outcome, Status> {
    outcome.map_err(|fault| fault.status)
}
fn register(
    r: &mut Reservations,
    host: HostId,
    action: u32,
    crkey: u64,
    nrkey: u64,
) -> Result<Outcome, Status> {
    let command = ReservationCmd { action, ..ReservationCmd::default() };
    status(r.change(host, Change::Register, command, keys(crkey, nrkey)))
}
fn acquire(
    r: &mut Reservations,
    host: HostId,
    action: u32,
    kind: T,
    prkey: u64,
) -> Result<Outcome, Status> {
    let command = ReservationCmd { action, kind: kind.octet(), ..ReservationCmd::default() };
    status(r.change(host, Change::Acquire, command, keys(key(host), prkey)))
}
fn release(r: &mut Reservations, host: HostId, action: u32, kind: T) -> Result<Outcome, Status> {
    let command = ReservationCmd { action, kind: kind.octet(), ..ReservationCmd::default() };
    status(r.change(host, Change::Release, command, keys(key(host), 0)))
}
/// A and B registered, C not; A holds `kind`.
fn held(kind: T) -> Reservations {
    let mut r = Reservations::new(true);
    for host in [A, B] {
        register(&mut r, host, 0, 0, key(host)).unwrap();
    }
    acquire(&mut r, A, 0, kind, 0).unwrap();
    r
}
fn told(outcome: &Outcome) -> Vec<(HostId, ReservationNotice)> {
    outcome.tell.iter().map(|tell| (tell.host, tell.notice)).collect()
}

/// Goal: who may read and who may write, for every type and every standing of a host.
#[test]
fn types_deny_what_they_should() {
    // Reads and writes of the holder A, the registrant B, the stranger C.
    for (kind, expected) in [
        (T::WriteExclusive, ["rw", "r", "r"]),
        (T::ExclusiveAccess, ["rw", "", ""]),
        (T::WriteExclusiveRegistrants, ["rw", "rw", "r"]),
        (T::ExclusiveAccessRegistrants, ["rw", "rw", ""]),
        (T::WriteExclusiveAll, ["rw", "rw", "r"]),
        (T::ExclusiveAccessAll, ["rw", "rw", ""]),
    ] {
        let r = held(kind);
        for (host, expected) in [A, B, C].into_iter().zip(expected) {
            let denied = r.denied(host);
            assert_eq!(!denied.contains(&Needs::READ), expected.contains('r'), "{kind:?} {host:?}");
            for need in [Needs::WRITE, Needs::FLUSH] {
                assert_eq!(!denied.contains(&need), expected.contains('w'), "{kind:?} {host:?}");
            }
            assert!(!denied.contains(&Needs::RESERVE), "reservation commands check themselves");
        }
    }
    assert_eq!(Reservations::new(true).denied(C), []);
}

/// Goal: a key is taken once, changed with the old one or by force, and given up; strangers and
/// wrong keys conflict; each change counts.
#[test]
fn hosts_register() {
    let mut r = Reservations::new(false);
    assert_eq!(register(&mut r, A, 1, 0xa, 0), Err(CONFLICT), "unregister a stranger");
    assert_eq!(register(&mut r, A, 2, 0xa, 5), Err(CONFLICT), "replace of a stranger");
    assert_eq!(register(&mut r, A, 0, 0, 0), Err(INVALID), "no key");
    assert_eq!(register(&mut r, A, 3, 0, 1), Err(INVALID), "no such action");
    register(&mut r, A, 0, 0, 0xa).unwrap();
    assert_eq!(register(&mut r, A, 0, 0, 0xa), Ok(Outcome::default()), "the same again");
    assert_eq!(register(&mut r, A, 0, 0, 0xe), Err(CONFLICT), "registered with another key");
    assert_eq!(register(&mut r, A, 2, 0xe, 5), Err(CONFLICT), "not its key");
    register(&mut r, A, 2, 0xa, 5).unwrap();
    let force = ReservationCmd { action: 2, ignore_key: true, ..ReservationCmd::default() };
    status(r.change(A, Change::Register, force, keys(0xe, 6))).unwrap();
    status(r.change(B, Change::Register, force, keys(0, 7))).unwrap();
    assert_eq!(register(&mut r, A, 1, 5, 0), Err(CONFLICT), "not its key any more");
    register(&mut r, A, 1, 6, 0).unwrap();
    assert!(!r.is_registered(A) && r.is_registered(B));
    assert_eq!(r.generation, 5);
    let persist = ReservationCmd { action: 2, ignore_key: true, persistence: 3, ..force };
    status(r.change(B, Change::Register, persist, keys(0, 7))).unwrap();
    assert!(!r.persists(), "there is nowhere to keep it");
    let reserved = ReservationCmd { persistence: 1, ..persist };
    assert_eq!(status(r.change(B, Change::Register, reserved, keys(0, 7))), Err(INVALID));
}

/// Goal: there is a limit to what hosts can make the target remember.
#[test]
fn registrants_are_limited() {
    let mut r = Reservations::new(false);
    for number in 0..=u8::try_from(REGISTRANTS_MAX).unwrap() {
        let added = register(&mut r, [number; 16], 0, 0, 1);
        assert_eq!(added.is_ok(), usize::from(number) < REGISTRANTS_MAX, "{number}");
    }
}

/// Goal: acquiring takes what is free, is idempotent for the holder, and conflicts otherwise.
#[test]
fn reservations_are_acquired() {
    let mut r = held(T::WriteExclusive);
    assert_eq!(acquire(&mut r, A, 0, T::WriteExclusive, 0), Ok(Outcome::default()));
    assert_eq!(acquire(&mut r, A, 0, T::ExclusiveAccess, 0), Err(CONFLICT));
    assert_eq!(acquire(&mut r, B, 0, T::WriteExclusive, 0), Err(CONFLICT));
    assert_eq!(acquire(&mut r, C, 0, T::WriteExclusive, 0), Err(CONFLICT), "a stranger");
    let mut r = held(T::WriteExclusiveAll);
    assert_eq!(acquire(&mut r, B, 0, T::WriteExclusiveAll, 0), Ok(Outcome::default()));
    for (action, kind, ignore_key) in [(3, 1, false), (0, 0, false), (0, 7, false), (0, 1, true)] {
        let command = ReservationCmd { action, kind, ignore_key, persistence: 0 };
        let outcome = status(r.change(A, Change::Acquire, command, keys(0xa, 0)));
        assert_eq!(outcome, Err(INVALID), "{command:?}");
    }
}

/// Goal: only the holder ends a reservation, with its type; those that shared in it are told.
#[test]
fn reservations_are_released() {
    use ReservationNotice::ReservationReleased as Released;
    for (kind, expected) in [
        (T::WriteExclusive, vec![]),
        (T::ExclusiveAccess, vec![]),
        (T::WriteExclusiveRegistrants, vec![(B, Released)]),
        (T::ExclusiveAccessAll, vec![(B, Released)]),
    ] {
        let mut r = held(kind);
        let other = if kind == T::WriteExclusive { T::ExclusiveAccess } else { T::WriteExclusive };
        assert_eq!(release(&mut r, A, 0, other), Err(INVALID), "{kind:?} by another name");
        assert_eq!(release(&mut r, C, 0, kind), Err(CONFLICT));
        if kind != T::ExclusiveAccessAll {
            assert_eq!(release(&mut r, B, 0, kind), Ok(Outcome::default()), "not the holder");
            assert!(r.held.is_some());
        }
        assert_eq!(told(&release(&mut r, A, 0, kind).unwrap()), expected, "{kind:?}");
        assert_eq!(r.held, None);
        assert_eq!(release(&mut r, A, 0, kind), Ok(Outcome::default()), "nothing held");
    }
    let mut r = held(T::WriteExclusive);
    let cleared = release(&mut r, B, 1, T::WriteExclusive).unwrap();
    assert_eq!(told(&cleared), [(A, ReservationNotice::ReservationPreempted)]);
    assert_eq!((r.held, r.registrants.len()), (None, 0));
}

/// Goal: a holder that unregisters gives up what it holds; what all registrants hold goes on until
/// the last of them.
#[test]
fn unregistering_releases() {
    let mut r = held(T::ExclusiveAccessRegistrants);
    let left = register(&mut r, A, 1, 0xa, 0).unwrap();
    assert_eq!(told(&left), [(B, ReservationNotice::ReservationReleased)]);
    assert_eq!(r.held, None);
    let mut r = held(T::WriteExclusiveAll);
    assert_eq!(told(&register(&mut r, A, 1, 0xa, 0).unwrap()), []);
    assert_eq!(r.held, Some(Held { by: B, kind: T::WriteExclusiveAll }));
    assert!(r.denied(A).contains(&Needs::WRITE));
    register(&mut r, B, 1, 0xb, 0).unwrap();
    assert_eq!(r.held, None);
}

/// Goal: preempting takes the holder's place, or only registrations; who loses them is told, and
/// with abort their commands are to end.
#[test]
fn registrants_are_preempted() {
    use ReservationNotice::{RegistrationPreempted as Gone, ReservationReleased as Released};
    let mut r = held(T::WriteExclusive);
    assert_eq!(acquire(&mut r, C, 1, T::WriteExclusive, 0xa), Err(CONFLICT), "a stranger");
    assert_eq!(acquire(&mut r, B, 1, T::WriteExclusive, 0), Err(INVALID), "no key");
    assert_eq!(acquire(&mut r, B, 1, T::WriteExclusive, 0x99), Err(CONFLICT), "nobody's key");
    let before = r.generation;
    let outcome = acquire(&mut r, B, 2, T::ExclusiveAccess, 0xa).unwrap();
    assert_eq!((told(&outcome), outcome.abort), (vec![(A, Gone)], vec![A]));
    assert_eq!(r.held, Some(Held { by: B, kind: T::ExclusiveAccess }));
    assert_eq!((r.is_registered(A), r.generation), (false, before + 1));

    let mut r = held(T::WriteExclusive);
    register(&mut r, C, 0, 0, 0xc).unwrap();
    let outcome = acquire(&mut r, A, 1, T::WriteExclusive, 0xb).unwrap();
    assert_eq!((told(&outcome), outcome.abort.len()), (vec![(B, Gone)], 0));
    assert_eq!(r.held, Some(Held { by: A, kind: T::WriteExclusive }), "only registrations");
    let outcome = acquire(&mut r, A, 1, T::ExclusiveAccess, 0xa).unwrap();
    assert_eq!(told(&outcome), [], "its own key: another type");
    assert_eq!(r.held, Some(Held { by: A, kind: T::ExclusiveAccess }));

    let mut r = held(T::WriteExclusiveRegistrants);
    register(&mut r, C, 0, 0, 0xc).unwrap();
    let outcome = acquire(&mut r, B, 1, T::ExclusiveAccess, 0xa).unwrap();
    assert_eq!(told(&outcome), [(A, Gone), (C, Released)], "C shared in it");

    let mut r = held(T::WriteExclusiveAll);
    register(&mut r, C, 0, 0, 0xc).unwrap();
    let outcome = acquire(&mut r, C, 1, T::WriteExclusiveAll, 0xa).unwrap();
    assert_eq!(told(&outcome), [(A, Gone)]);
    assert_eq!(r.held.map(|held| held.by), Some(B), "the others go on holding it");
    let outcome = acquire(&mut r, C, 2, T::WriteExclusive, 0).unwrap();
    assert_eq!(told(&outcome), [(B, Gone)]);
    assert_eq!(r.held, Some(Held { by: C, kind: T::WriteExclusive }));

    let mut r = held(T::WriteExclusive);
    release(&mut r, A, 0, T::WriteExclusive).unwrap();
    acquire(&mut r, B, 1, T::WriteExclusive, 0xb).unwrap();
    assert!(!r.is_registered(B), "nothing is held: a host may take its own registration away");
}

/// Goal: what is kept comes back as it was, and what cannot be is not believed.
#[test]
fn saved_state_comes_back() {
    let mut r = held(T::ExclusiveAccessRegistrants);
    r.set_persists(true).unwrap();
    assert_eq!(Reservations::restored(&r.saved()), r);
    let mut saved = r.saved();
    saved.registrants.remove(0);
    assert_eq!(Reservations::restored(&saved).held, None, "its holder is not registered");
    saved.registrants = vec![SavedRegistrant { host: A, key: 1 }; 1000];
    assert_eq!(Reservations::restored(&saved).registrants.len(), REGISTRANTS_MAX);
}

/// Goal: the report has a structure for each controller, and one for a host without any.
#[test]
fn reports_name_controllers() {
    let r = held(T::WriteExclusive);
    let page = report(&r, &[(1, A), (2, C), (3, A)]);
    assert_eq!(page.len(), 64 + 3 * 64);
    assert_eq!(page[..10], [2, 0, 0, 0, 1, 3, 0, 0, 0, 0]);
    let entries: Vec<_> = page[64..].chunks(64).map(|c| (c[0], c[1], c[2], c[8], c[16])).collect();
    assert_eq!(entries, [(1, 0, 1, 0xa, 0xa), (3, 0, 1, 0xa, 0xa), (0xff, 0xff, 0, 0xb, 0xb)]);
}
