use super::*;

fn numbered(number: u64) -> Descriptor {
    Descriptor([number; WORDS])
}

/// What `numbered` reads back as: the ring keeps its bit for itself.
fn is_numbered(descriptor: Descriptor, number: u64) -> bool {
    descriptor == numbered(number)
}

#[cfg(not(feature = "loom"))]
mod plain {
    use super::*;

    /// Goal: nothing is seen before `publish`, then all of it, in order; a full ring says so and
    /// credits open it again; many laps.
    #[test]
    fn order_batches_and_laps() {
        let (mut producer, mut consumer) = ring(4);
        for lap in 0..10_u64 {
            for at in 0..4 {
                producer.push(numbered(lap * 4 + at)).unwrap();
            }
            assert_eq!(producer.push(numbered(99)), Err(RingFull(numbered(99))));
            assert!(!consumer.is_ready());
            assert!(producer.publish());
            assert!(!producer.publish());
            for at in 0..4 {
                assert!(is_numbered(consumer.pop().unwrap(), lap * 4 + at));
            }
            assert_eq!(consumer.pop(), None);
            assert_eq!(producer.room_now(), 0, "taken, not released");
            consumer.release_but(1);
            assert_eq!(producer.room_now(), 3);
            consumer.release_but(0);
        }
    }

    /// Goal: a batch longer than the staging publishes by itself and loses nothing.
    #[test]
    fn long_batches() {
        let (mut producer, mut consumer) = ring(256);
        for number in 0..200 {
            producer.push(numbered(number)).unwrap();
        }
        producer.publish();
        for number in 0..200 {
            assert!(is_numbered(consumer.pop().unwrap(), number));
        }
    }

    /// Goal: two threads at full speed: each descriptor whole, once, in order. (Miri: fewer.)
    #[test]
    fn two_threads() {
        let count = if cfg!(miri) { 300 } else { 300_000 };
        let (mut producer, mut consumer) = ring(64);
        let reader = std::thread::spawn(move || {
            for number in 0..count {
                let descriptor = loop {
                    if let Some(descriptor) = consumer.pop() {
                        break descriptor;
                    }
                    std::hint::spin_loop();
                };
                assert!(is_numbered(descriptor, number));
                if number % 7 == 0 {
                    consumer.release_but(0);
                }
            }
            consumer.release_but(0);
        });
        for number in 0..count {
            while producer.push(numbered(number)).is_err() {
                producer.publish();
                std::hint::spin_loop();
            }
            if number % 5 == 0 {
                producer.publish();
            }
        }
        producer.publish();
        reader.join().unwrap();
    }
}

#[cfg(feature = "loom")]
mod model {
    use super::*;

    /// Goal, in every interleaving: descriptors arrive whole, once, in order, across a wrap, and a
    /// cell is never written while it is read.
    #[test]
    fn loom_order_across_a_wrap() {
        loom::model(|| {
            let (mut producer, mut consumer) = ring(2);
            let reader = loom::thread::spawn(move || {
                let mut next = 0;
                while next < 3 {
                    match consumer.pop() {
                        Some(descriptor) => {
                            assert!(is_numbered(descriptor, next));
                            next += 1;
                            consumer.release_but(0);
                        }
                        None => loom::thread::yield_now(),
                    }
                }
            });
            producer.push(numbered(0)).unwrap();
            producer.push(numbered(1)).unwrap();
            producer.publish();
            while producer.push(numbered(2)).is_err() {
                loom::thread::yield_now();
            }
            producer.publish();
            reader.join().unwrap();
        });
    }
}
