use super::*;
use std::sync::Arc;

macro_rules! space {
    ($name:ident, $($path:ident)::+) => {
        #[derive(Clone)]
        struct $name(Arc<Vec<$($path)::+::AtomicU64>>);
        impl Space for $name {
            type Word = $($path)::+::AtomicU64;
            fn words(&self) -> &[Self::Word] {
                &self.0
            }
        }
        fn ring(capacity: usize) -> (Producer<$name>, Consumer<$name>, $name) {
            let words = (0..words_of(capacity)).map(|_| $($path)::+::AtomicU64::new(0));
            let space = $name(Arc::new(words.collect()));
            (Producer::new(space.clone(), capacity), Consumer::new(space.clone(), capacity), space)
        }
    };
}

mod plain {
    use super::*;
    space!(Plain, std::sync::atomic);

    /// Goal: nothing is seen before `publish`, then all of it, in order, lap after lap; what is
    /// released comes back, once.
    #[test]
    fn order_batches_and_laps() {
        let (mut producer, mut consumer, _) = ring(4);
        for lap in 0..10 {
            (0..4).for_each(|at| producer.push(lap * 4 + at));
            assert_eq!(consumer.peek(), None);
            assert!(producer.publish() && !producer.publish());
            for at in 0..4 {
                assert_eq!(consumer.peek(), Some(lap * 4 + at));
                consumer.advance();
            }
            assert_eq!(consumer.peek(), None);
            assert_eq!(producer.reclaim(), Ok(0), "taken, not released");
            consumer.release();
            assert_eq!(producer.reclaim(), Ok(4));
            assert_eq!(producer.reclaim(), Ok(0));
        }
    }

    /// Goal: a consumer that claims to have released what it never got, or takes back what it
    /// released, is found out.
    #[test]
    fn lies_about_releases_are_found() {
        let (mut producer, mut consumer, space) = ring(4);
        producer.push(1);
        producer.publish();
        space.0[RELEASED].store(2, Ordering::Relaxed);
        assert_eq!(producer.reclaim(), Err(Misbehaved));
        consumer.advance();
        consumer.release();
        assert_eq!(producer.reclaim(), Ok(1));
        space.0[RELEASED].store(0, Ordering::Relaxed);
        assert_eq!(producer.reclaim(), Err(Misbehaved));
    }

    /// Goal: two threads at full speed: each descriptor once, in order.
    #[test]
    fn two_threads() {
        let count = 200_000_u64;
        let (mut producer, mut consumer, _) = ring(64);
        let reader = std::thread::spawn(move || {
            let mut number = 0;
            while number < count {
                match consumer.peek() {
                    Some(descriptor) => {
                        assert_eq!(descriptor, number);
                        consumer.advance();
                        number += 1;
                        consumer.release();
                    }
                    None => std::thread::yield_now(),
                }
            }
        });
        let mut room = 64;
        for number in 0..count {
            while room == 0 {
                producer.publish();
                room += producer.reclaim().unwrap();
                std::thread::yield_now();
            }
            producer.push(number);
            room -= 1;
        }
        producer.publish();
        reader.join().unwrap();
    }
}

#[cfg(feature = "loom")]
mod model {
    use super::*;
    space!(Modelled, loom::sync::atomic);

    /// Goal, in every interleaving: descriptors arrive once, in order, across a wrap.
    #[test]
    fn loom_order_across_a_wrap() {
        loom::model(|| {
            let (mut producer, mut consumer, _) = ring(2);
            let reader = loom::thread::spawn(move || {
                let mut next = 0;
                while next < 3 {
                    match consumer.peek() {
                        Some(descriptor) => {
                            assert_eq!(descriptor, next);
                            next += 1;
                            consumer.advance();
                            consumer.release();
                        }
                        None => loom::thread::yield_now(),
                    }
                }
            });
            producer.push(0);
            producer.push(1);
            producer.publish();
            while producer.reclaim().unwrap() == 0 {
                loom::thread::yield_now();
            }
            producer.push(2);
            producer.publish();
            reader.join().unwrap();
        });
    }

    /// Goal, in every interleaving: a descriptor published while the consumer falls asleep is
    /// either seen by its last look, or the producer is told to wake it.
    #[test]
    fn loom_no_wake_is_lost() {
        loom::model(|| {
            let (mut producer, consumer, _) = ring(2);
            let sleeper = loom::thread::spawn(move || {
                consumer.arm();
                consumer.peek().is_none()
            });
            producer.push(7);
            producer.publish();
            let rang = producer.must_wake();
            let sleeps = sleeper.join().unwrap();
            assert!(rang || !sleeps, "asleep with a descriptor waiting and nobody rang");
        });
    }
}
