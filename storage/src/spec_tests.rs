use super::*;
use crate::DiskStatus;
use crate::conformance::Rig;
use crate::layer::{Kind, When};
use crate::test_path::TempPath;
use crate::{BlockRange, Durability, Op, Purpose, open};
use proptest::prelude::*;
use std::time::Duration;

fn spec(text: &str) -> BackendSpec {
    text.parse().unwrap_or_else(|e| panic!("{text}: {e}"))
}

fn refusal(text: &str) -> String {
    match text.parse::<BackendSpec>() {
        Ok(spec) => panic!("{text} was taken as {spec:?}"),
        Err(error) => error.to_string(),
    }
}

/// Goal: the documented forms mean what the documentation says.
#[test]
fn uris_mean_what_they_say() {
    let memory = spec("mem:1GiB");
    assert_eq!(memory.disk, DiskSpec::Memory { octets: 1 << 30, random: None });
    assert_eq!((memory.block_bytes, memory.depth), (4096, 1024));
    assert_eq!(spec("null:1TiB?block=512").block_bytes, 512);
    assert_eq!(
        spec("mem:64m?random=7").disk,
        DiskSpec::Memory { octets: 64 << 20, random: Some(7) }
    );
    let file = spec("file:///a%3Fb.img?create&size=1GB&direct=off&block=512");
    let wanted = DiskSpec::File {
        path: "/a?b.img".into(),
        direct: Direct::Off,
        create: Some(1_000_000_000),
    };
    assert_eq!(file.disk, wanted);
    assert_eq!(
        spec("mmap:disk.img").disk,
        DiskSpec::Mmap { path: "disk.img".into(), create: None }
    );
}

/// Goal: layers come in the order in which they are written, neighbours of a kind as one.
#[test]
fn layers_are_stacked_as_written() {
    let layers = spec(
        "mem:1MiB?fail=read:0.5%&fail=write:7:capacity&delay=20us-80us&rate=200MBps,20kiops&stats&seed=3",
    )
    .layers;
    let faults = vec![
        Fault { kind: Kind::Read, when: When::Millionths(5000), status: DiskStatus::ReadError },
        Fault { kind: Kind::Write, when: When::Nth(7), status: DiskStatus::CapacityExceeded },
    ];
    let time =
        Time::Random { min: Duration::from_micros(20), max: Duration::from_micros(80), seed: 3 };
    let rates = Rates { iops: Some(20_000), bytes_per_s: Some(200_000_000) };
    let wanted = [
        LayerSpec::Faulty(faults, 3),
        LayerSpec::Delay(time),
        LayerSpec::Rate(rates),
        LayerSpec::Stats,
    ];
    assert_eq!(layers, wanted);
}

/// Goal: a mistake is answered with what to write instead.
#[test]
fn mistakes_are_answered_with_a_cure() {
    for (text, cure) in [
        ("disk.img", "file:disk.img"),
        ("tape:1", "file:disk.img"),
        ("mem:", "1GiB"),
        ("mem:1XB", "1GiB"),
        ("mem:99999999TiB", "1GiB"),
        ("mem:1000", "block=512"),
        ("mem:0", "round the size"),
        ("mem:1GiB?block=1024", "512 or 4096"),
        ("mem:1GiB?size=2GiB", "file: and mmap:"),
        ("mem:1GiB?sice=2GiB", "there are block"),
        ("null:1GiB?direct=on", "it is for file:"),
        ("file:", "file:disk.img"),
        ("file:a?size=1GiB", "add create"),
        ("file:a?create", "create&size"),
        ("file:a%zz", "%25"),
        ("file://host/a", "file:/path"),
        ("mem:1GiB?delay=5", "50us"),
        ("mem:1GiB?delay=3601s", "an hour"),
        ("mem:1GiB?delay=9us-5us", "smaller one"),
        ("mem:1GiB?rate=0iops", "5000iops"),
        ("mem:1GiB?fail=read:101%", "fail=read:0.1%"),
        ("mem:1GiB?fail=read", "fail=read:0.1%"),
        ("mem:1GiB?depth=0", "from 1 to"),
    ] {
        let message = refusal(text);
        assert!(message.contains(cure), "{text}: {message}");
    }
}

/// Goal: a URI opens as a working disk, layers included, and the file is there afterwards.
#[test]
fn a_uri_opens_as_a_disk() {
    let path = TempPath::new("spec");
    let uri = format!("file:{}?create&size=16MiB&delay=50us&stats", path.path().display());
    let mut rig = Rig::new(open(&spec(&uri)).unwrap());
    let range = BlockRange { start: 1, count: 1 };
    rig.write(range, &[9; 4096], Purpose::Write, Durability::Fua);
    assert_eq!(rig.read(range), [9; 4096]);
    let mut writes = 0;
    rig.backend.counters(&mut |name, value| writes += if name == "writes" { value } else { 0 });
    assert_eq!(writes, 1);
    assert_eq!(rig.outcome(Op::Flush), DiskStatus::Good);
    drop(rig);
    assert_eq!(std::fs::metadata(path.path()).unwrap().len(), 16 << 20);
}

proptest! {
    /// Goal: whatever is typed is taken or refused, never a panic.
    #[test]
    fn anything_typed_is_taken_or_refused(
        kind in "(mem|null|file|mmap|.{0,4})",
        place in "[0-9]{0,22}.{0,6}",
        option in "(delay|rate|fail|block|size|seed|.{0,4})=[0-9]{0,22}.{0,8}(:[0-9.]{0,12}%?)?",
    ) {
        let _ = format!("{kind}:{place}?{option}").parse::<BackendSpec>();
    }
}
