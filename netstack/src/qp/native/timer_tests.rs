use super::*;

fn sampled() -> Rtt {
    let mut rtt = Rtt::default();
    rtt.sample(50, 0);
    rtt
}

/// The first expiry comes soon, later ones back off, and giving up takes as long as the local ACK
/// timeout and the retry count say.
#[test]
fn backs_off_and_gives_up_in_time() {
    let rtt = sampled();
    // Code 14: 67 ms; 4 waits of it.
    let mut timer = Timer::new(Patience::new(14, 3, 100));
    timer.on_sent(1_000);
    assert_eq!(timer.expire(1_400, &rtt), None);
    assert_eq!(timer.deadline(&rtt), Some(1_500));
    let mut seen = Vec::new();
    loop {
        let now = timer.deadline(&rtt).unwrap();
        let expiry = timer.expire(now, &rtt).unwrap();
        seen.push((now, expiry));
        if expiry == Expiry::GiveUp {
            break;
        }
    }
    assert_eq!(seen[0], (1_500, Expiry::Probe));
    assert_eq!(seen[1], (3_500, Expiry::Timeout));
    let end = seen.last().unwrap().0;
    assert!((4 * 67_000..6 * 67_200).contains(&end), "{end}");
}

/// Progress starts over, as of the latest packet sent or half a wait before; a timeout code of zero
/// waits for ever; a late call expires only once.
#[test]
fn progress_and_endless_patience() {
    let rtt = sampled();
    let mut timer = Timer::new(Patience::new(0, 0, 100));
    timer.on_sent(0);
    for _ in 0..100 {
        let now = timer.deadline(&rtt).unwrap() + 5_000_000;
        assert_ne!(timer.expire(now, &rtt), Some(Expiry::GiveUp));
        assert_eq!(timer.expire(now, &rtt), None, "once per wait");
    }
    let later = 1 << 40;
    timer.on_progress(later, true);
    assert_eq!(timer.deadline(&rtt), Some(later + 250), "sent long before");
    timer.on_sent(later);
    timer.on_progress(later + 100, true);
    assert_eq!(timer.deadline(&rtt), Some(later + 500));
    timer.on_progress(1 << 40, false);
    assert_eq!(timer.deadline(&rtt), None);
}
