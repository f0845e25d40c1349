use super::host::Host;
use super::{BLOCKS, World};
use wire::nvme::{
    AdminOpcode, Cid, DsmCmd, DsmRange, GetLogPageCmd, IdentifyCmd, IoOpcode, Lba, Nsid, Rw, Sgl,
    Sqe, Status, ZeroBased,
};

/// A command, made by the host that sends it, and the status that nvmet gives.
type Case = (&'static str, fn(&Host) -> Sqe, Status);

fn rw(nsid: u32, opcode: IoOpcode, start: u64, blocks: u32) -> Sqe {
    Rw::new(Lba(start), blocks).unwrap().command(opcode, Cid(0), Nsid(nsid))
}
fn with_sgl(mut sqe: Sqe, sgl: Sgl) -> Sqe {
    sqe.set_sgl(sgl);
    sqe
}
fn raw(kind: u8) -> Sgl {
    let mut octets = [0; 16];
    octets[15] = kind;
    Sgl::Other(octets)
}

const IO: &[Case] = &[
    (
        "namespace 0",
        |h| with_sgl(rw(0, IoOpcode::Read, 0, 1), h.sgl(0, 512)),
        Status::INVALID_NAMESPACE,
    ),
    (
        "no such namespace",
        |h| with_sgl(rw(3, IoOpcode::Read, 0, 1), h.sgl(0, 512)),
        Status::INVALID_NAMESPACE,
    ),
    ("all namespaces", |_| Sqe::new(0, Cid(0), Nsid::ALL), Status::INVALID_NAMESPACE),
    ("unknown opcode", |_| Sqe::new(0x7e, Cid(0), Nsid(1)), Status::INVALID_OPCODE),
    (
        "a command that is not served",
        |h| with_sgl(Sqe::new(0x04, Cid(0), Nsid(1)), h.sgl(0, 32)),
        Status::INVALID_OPCODE,
    ),
    ("beyond the end", |h| h.rw(IoOpcode::Read, BLOCKS, 1, 0), Status::LBA_OUT_OF_RANGE),
    ("across the end", |h| h.rw(IoOpcode::Write, BLOCKS - 1, 2, 0), Status::LBA_OUT_OF_RANGE),
    ("beyond all numbers", |h| h.rw(IoOpcode::Read, u64::MAX, 1, 0), Status::LBA_OUT_OF_RANGE),
    (
        "zeroes across the end",
        |_| rw(1, IoOpcode::WriteZeroes, BLOCKS - 1, 2),
        Status::LBA_OUT_OF_RANGE,
    ),
    ("verify across the end", |_| rw(1, IoOpcode::Verify, BLOCKS - 1, 2), Status::LBA_OUT_OF_RANGE),
    (
        "more than MDTS",
        |h| with_sgl(rw(1, IoOpcode::Read, 0, 2049), h.sgl(0, 2049 * 512)),
        Status::INVALID_FIELD,
    ),
    (
        "memory too short",
        |h| with_sgl(rw(1, IoOpcode::Read, 0, 2), h.sgl(0, 512)),
        Status::SGL_DATA_LENGTH,
    ),
    (
        "memory too long",
        |h| with_sgl(rw(1, IoOpcode::Write, 0, 1), h.sgl(0, 513)),
        Status::SGL_DATA_LENGTH,
    ),
    (
        "no memory",
        |h| with_sgl(rw(1, IoOpcode::Compare, 0, 1), h.sgl(0, 0)),
        Status::SGL_DATA_LENGTH,
    ),
    (
        "read into the capsule",
        |_| with_sgl(rw(1, IoOpcode::Read, 0, 1), Sgl::InCapsule { offset: 0, len: 512 }),
        Status::INVALID_FIELD,
    ),
    (
        "beyond the capsule",
        |_| with_sgl(rw(1, IoOpcode::Write, 0, 1), Sgl::InCapsule { offset: 3585, len: 512 }),
        Status::SGL_OFFSET,
    ),
    (
        "far beyond the capsule",
        |_| with_sgl(rw(1, IoOpcode::Write, 0, 1), Sgl::InCapsule { offset: u64::MAX, len: 512 }),
        Status::SGL_OFFSET,
    ),
    (
        "data block by address",
        |_| with_sgl(rw(1, IoOpcode::Write, 0, 1), Sgl::DataBlock { addr: 0, len: 512 }),
        Status::INVALID_FIELD,
    ),
    (
        "transport data",
        |_| with_sgl(rw(1, IoOpcode::Write, 0, 1), Sgl::Transport { len: 512 }),
        Status::SGL_TYPE,
    ),
    ("segment", |_| with_sgl(rw(1, IoOpcode::Write, 0, 1), raw(0x20)), Status::SGL_TYPE),
    ("last segment", |_| with_sgl(rw(1, IoOpcode::Write, 0, 1), raw(0x30)), Status::SGL_TYPE),
    (
        "unknown subtype of keyed",
        |_| with_sgl(rw(1, IoOpcode::Write, 0, 1), raw(0x43)),
        Status::INVALID_FIELD,
    ),
    (
        "unknown subtype of data block",
        |_| with_sgl(rw(1, IoOpcode::Write, 0, 1), raw(0x07)),
        Status::INVALID_FIELD,
    ),
    (
        "fused both ways",
        |h| {
            let mut s = h.rw(IoOpcode::Compare, 0, 1, 0);
            s.set_fuse(3);
            s
        },
        Status::INVALID_FIELD,
    ),
    (
        "PRP",
        |h| {
            let mut s = h.rw(IoOpcode::Read, 0, 1, 0);
            s.set_psdt(0);
            s
        },
        Status::INVALID_FIELD,
    ),
    (
        "SGL segment for metadata",
        |h| {
            let mut s = h.rw(IoOpcode::Read, 0, 1, 0);
            s.set_psdt(2);
            s
        },
        Status::INVALID_FIELD,
    ),
    (
        "too little data for the ranges",
        |h| with_sgl(ranges(2), h.sgl(0, 31)),
        Status::SGL_DATA_LENGTH,
    ),
    (
        "authentication",
        |_| {
            let mut s = Sqe::new(0x7f, Cid(0), Nsid(5));
            s.set_psdt(1);
            s
        },
        Status::INVALID_OPCODE,
    ),
];

const ADMIN: &[Case] = &[
    ("create queue", |_| Sqe::new(1, Cid(0), Nsid(0)), Status::INVALID_OPCODE),
    ("unknown opcode", |_| Sqe::new(0xc5, Cid(0), Nsid(0)), Status::INVALID_OPCODE),
    (
        "format",
        |_| Sqe::new(AdminOpcode::FormatNvm.octet(), Cid(0), Nsid(1)),
        Status::INVALID_OPCODE,
    ),
    (
        "unknown structure",
        |h| {
            h.with_answer(
                IdentifyCmd { cns: 0x77, ..IdentifyCmd::default() }.command(Cid(0), Nsid(0)),
                4096,
            )
        },
        Status::INVALID_FIELD,
    ),
    (
        "short identify",
        |h| {
            h.with_answer(
                IdentifyCmd { cns: 1, ..IdentifyCmd::default() }.command(Cid(0), Nsid(0)),
                4092,
            )
        },
        Status::SGL_DATA_LENGTH,
    ),
    (
        "identify into the capsule",
        |_| {
            with_sgl(
                IdentifyCmd { cns: 1, ..IdentifyCmd::default() }.command(Cid(0), Nsid(0)),
                Sgl::InCapsule { offset: 0, len: 4096 },
            )
        },
        Status::INVALID_FIELD,
    ),
    (
        "unknown page",
        |h| {
            h.with_answer(
                GetLogPageCmd { lid: 0xc0, ..GetLogPageCmd::default() }.command(Cid(0), Nsid(0)),
                4,
            )
        },
        Status::INVALID_FIELD,
    ),
    (
        "endless page",
        |h| {
            h.with_answer(
                GetLogPageCmd {
                    lid: 1,
                    dwords: ZeroBased::<u32>::from_raw(u32::MAX),
                    ..GetLogPageCmd::default()
                }
                .command(Cid(0), Nsid(0)),
                4,
            )
        },
        Status::INVALID_FIELD,
    ),
    (
        "page of another length",
        |h| {
            h.with_answer(
                GetLogPageCmd { lid: 1, ..GetLogPageCmd::default() }.command(Cid(0), Nsid(0)),
                8,
            )
        },
        Status::SGL_DATA_LENGTH,
    ),
    (
        "page of no namespace",
        |h| {
            h.with_answer(
                GetLogPageCmd { lid: 2, ..GetLogPageCmd::default() }.command(Cid(0), Nsid(77)),
                4,
            )
        },
        Status::INVALID_NAMESPACE,
    ),
    ("unknown fabrics command", |_| Sqe::new(0x7f, Cid(0), Nsid(0x33)), Status::INVALID_OPCODE),
    (
        "disconnect of the admin queue",
        |_| wire::fabrics::disconnect_command(Cid(0)),
        Status::INVALID_QUEUE_TYPE,
    ),
];

fn ranges(count: u16) -> Sqe {
    let ranges = ZeroBased::<u8>::from_count(count).unwrap();
    let (integral_write, integral_read) = (false, false);
    DsmCmd { ranges, deallocate: true, integral_write, integral_read }.command(Cid(0), Nsid(1))
}

/// Goal: every wrong command gets the status that nvmet gives, with "do not retry", and the queue
/// goes on working.
#[test]
fn wrong_commands_get_nvmet_statuses() {
    let mut world = World::new();
    let mut host = world.connected(1, 8);
    for (at, cases) in [(1, IO), (0, ADMIN)] {
        for (name, make, status) in cases {
            let sqe = make(&host);
            let cqe = host.execute(&mut world, at, sqe, &[0; 4096]);
            assert!(cqe.status().is(*status), "{name}: {:?}, not {status:?}", cqe.status());
            assert!(cqe.status().dnr, "{name}");
        }
    }
    let expected = (IO.len() + ADMIN.len()) as u64;
    assert_eq!(world.reactor.counters().failed_commands, expected);
    let sqe = host.rw(IoOpcode::Read, 0, 1, 0);
    assert!(host.execute(&mut world, 1, sqe, &[]).status().is_success());
}

/// Goal: a range list with one bad range changes nothing, wherever its descriptors are.
#[test]
fn one_bad_range_spoils_the_list() {
    let mut world = World::new();
    let mut host = world.connected(1, 8);
    let list = [DsmRange::new(Lba(0), 1), DsmRange::new(Lba(BLOCKS), 1)];
    let octets: Vec<u8> = list.iter().flat_map(|range| *range.as_octets()).collect();
    let before = {
        let sqe = host.rw(IoOpcode::Read, 0, 1, 0);
        host.execute(&mut world, 1, sqe, &[]);
        host.read_data(0, 512)
    };
    host.data.write(0, &octets);
    for sgl in [host.sgl(0, 32), Sgl::InCapsule { offset: 0, len: 32 }] {
        let status = host.execute(&mut world, 1, with_sgl(ranges(2), sgl), &octets).status();
        assert!(status.is(Status::LBA_OUT_OF_RANGE) && status.dnr, "{status:?}");
    }
    let sqe = host.rw(IoOpcode::Read, 0, 1, 0);
    host.execute(&mut world, 1, sqe, &[]);
    assert!(host.read_data(0, 512) == before);
}

/// Goal: octets that are no capsule end that connection, and no other.
#[test]
fn short_capsules_end_the_connection() {
    let mut world = World::new();
    let mut host = world.connected(2, 8);
    host.send(1, &[0; 63]);
    host.run(&mut world);
    assert!(host.queues[1].disconnected && !host.queues[2].disconnected);
    assert_eq!(world.reactor.counters().bad_capsules, 1);
    let sqe = host.rw(IoOpcode::Read, 0, 1, 0);
    assert!(host.execute(&mut world, 2, sqe, &[]).status().is_success());
    // The number is free again.
    host.connect_io(&mut world, 1, 8);
}
