use super::*;
use PacketKind::{CmRep, Nak, ReadRequest, ReadResponseLast, ReadResponseOnly, RnrNak, SendOnly};

fn rule(text: &str) -> Rule {
    text.parse().unwrap()
}

/// Goal: the words mean what they say, a word that several kinds begin with means all of them, and
/// `nak` does not mean `rnr-nak`.
#[test]
fn words() {
    let one = rule("drop:read-response-last:1");
    assert_eq!(one, Rule::nth(Fault::Drop, ReadResponseLast, 1));
    assert!(one.is_about(ReadResponseLast, Way::Transmit));
    assert!(!one.is_about(ReadResponseOnly, Way::Transmit));
    let reads = rule("delay=300us:read:2+5:rx");
    assert_eq!(reads.fault, Fault::Delay(Duration::from_micros(300)));
    assert_eq!(reads.which, Which::Nth { first: 2, every: 5 });
    assert!([ReadRequest, ReadResponseOnly].iter().all(|kind| reads.is_about(*kind, Way::Receive)));
    assert!(!reads.is_about(ReadRequest, Way::Transmit) && !reads.is_about(SendOnly, Way::Receive));
    assert!(rule("corrupt:cm:1").is_about(CmRep, Way::Transmit));
    let nak = rule("duplicate:nak:1:tx");
    assert!(nak.is_about(Nak, Way::Transmit) && !nak.is_about(RnrNak, Way::Transmit));
    let any = rule("reorder:any:0.5%");
    assert_eq!(any.which, Which::Chance { ppm: 5_000 });
    assert!(PacketKind::ALL.iter().all(|kind| any.is_about(*kind, Way::Receive)));
}

/// Goal: what is no rule is refused by a message that shows what could be meant.
#[test]
fn nonsense_is_refused() {
    for (text, told) in [
        ("drop", "FAULT:KIND:WHICH"),
        ("drop:ack", "FAULT:KIND:WHICH"),
        ("lose:ack:1", "drop, duplicate, reorder, corrupt, delay=2ms"),
        ("delay=2:ack:1", "delay=2ms"),
        ("delay=2h:ack:1", "delay=2ms"),
        ("delay=99s:ack:1", "delay=2ms"),
        ("delay=99999999999999999999s:ack:1", "delay=2ms"),
        ("drop:acknowledgement:1", "read-response-last"),
        ("drop::1", "read-response-last"),
        ("drop:ack:0", "the third"),
        ("drop:ack:1+0", "each tenth"),
        ("drop:ack:-1", "the third"),
        ("drop:ack:0%", "0.5%"),
        ("drop:ack:101%", "0.5%"),
        ("drop:ack:NaN%", "0.5%"),
        ("drop:ack:1:up", "neither tx nor rx"),
        ("drop:ack:1:tx:2", "nothing follows"),
    ] {
        let error = text.parse::<Rule>().unwrap_err().to_string();
        assert!(error.contains(told) && error.contains(text), "{text}: {error}");
    }
}

/// Goal: counting is from one; `N+M` goes on for ever, `N` does not.
#[test]
fn counting() {
    let hits = |text: &str| {
        let which = rule(text).which;
        (1..=12).filter(|n| which.hits(*n, || unreachable!())).collect::<Vec<u64>>()
    };
    assert_eq!(hits("drop:ack:3"), [3]);
    assert_eq!(hits("drop:ack:3+4"), [3, 7, 11]);
    assert!(Which::Chance { ppm: 5 }.hits(1, || 4) && !Which::Chance { ppm: 5 }.hits(1, || 5));
}
