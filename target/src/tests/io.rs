use super::{BLOCKS, World};
use crate::Config;
use memory::Access;
use netstack::fabric::Fabric;
use wire::nvme::{Cid, DsmCmd, DsmRange, IoOpcode, Lba, Nsid, Rw, Sgl, Sqe, Status, ZeroBased};

fn pattern(len: usize, seed: u8) -> Vec<u8> {
    (0..len).map(|at| (at as u8).wrapping_mul(31).wrapping_add(seed)).collect()
}

/// Goal: what was written through host memory is what is read back, for one block up to MDTS, on
/// both block sizes, with and without staging.
#[test]
fn keyed_writes_are_read_back() {
    for path_mtu_bytes in [Some(4096), Some(1024), None] {
        let mut world = World::with_config(Config { path_mtu_bytes, ..Config::default() });
        let mut host = world.connected(1, 16);
        for (nsid, block, blocks) in
            [(1, 512, 1), (1, 512, 8), (1, 512, 2048), (2, 4096, 1), (2, 4096, 256)]
        {
            let len = block * blocks;
            let data = pattern(len as usize, nsid as u8);
            host.data.write(0, &data);
            let command = Rw::new(Lba(7), blocks).unwrap();
            let mut sqe = command.command(IoOpcode::Write, Cid(0), Nsid(nsid));
            sqe.set_sgl(host.sgl(0, len));
            assert!(host.execute(&mut world, 1, sqe, &[]).status().is_success());
            let mut sqe = command.command(IoOpcode::Read, Cid(0), Nsid(nsid));
            sqe.set_sgl(host.sgl(1 << 20, len));
            assert!(host.execute(&mut world, 1, sqe, &[]).status().is_success());
            assert!(host.read_data(1 << 20, len as usize) == data, "{nsid} {blocks}");
        }
        assert_eq!(world.reactor.counters().incapsule_copied_bytes, 0);
    }
}

/// Goal: data in the capsule, at any offset, reaches the blocks, and is what is counted as copied.
#[test]
fn capsule_writes_are_read_back() {
    let mut world = World::new();
    let mut host = world.connected(1, 4);
    for (offset, blocks) in [(0u32, 8u32), (512, 1), (3584, 1), (96, 2)] {
        let data = pattern(4096, offset as u8);
        let mut sqe = host.rw(IoOpcode::Write, 100, blocks, 0);
        sqe.set_sgl(Sgl::InCapsule { offset: offset.into(), len: blocks * 512 });
        assert!(host.execute(&mut world, 1, sqe, &data).status().is_success());
        let sqe = host.rw(IoOpcode::Read, 100, blocks, 0);
        assert!(host.execute(&mut world, 1, sqe, &[]).status().is_success());
        let sent = &data[offset as usize..][..blocks as usize * 512];
        assert!(host.read_data(0, sent.len()) == sent);
    }
    assert_eq!(world.reactor.counters().incapsule_copied_bytes, 12 * 512);
}

/// Goal: the response invalidates exactly the key that the descriptor asked to, also when the
/// command fails at the disk, and leaves others alone.
#[test]
fn keys_are_invalidated_on_request() {
    let mut world = World::new();
    let mut host = world.connected(1, 4);
    for opcode in [IoOpcode::Read, IoOpcode::Write, IoOpcode::Compare] {
        let rights = Access::LOCAL_WRITE | Access::REMOTE_WRITE | Access::REMOTE_READ;
        let mr = host.fabric.register(&host.data, rights).unwrap();
        host.data.write(0, &[0x5a; 512]);
        let before = host.queues[1].invalidated;
        let mut sqe = host.rw(opcode, 3, 1, 0);
        let (addr, key) = (mr.addr, mr.rkey.0);
        sqe.set_sgl(Sgl::Keyed { addr, len: 512, key, invalidate: true });
        host.execute(&mut world, 1, sqe, &[]);
        assert_eq!(host.queues[1].invalidated, before + 1);
        // The key is dead: using it again breaks the connection's protection, not the target.
    }
    let sqe = host.rw(IoOpcode::Read, 3, 1, 0);
    assert!(host.execute(&mut world, 1, sqe, &[]).status().is_success());
}

/// Goal: Compare tells equal from different, through memory and in the capsule.
#[test]
fn compare_compares() {
    let mut world = World::new();
    let mut host = world.connected(1, 4);
    let sqe = host.rw(IoOpcode::Read, 9, 8, 0);
    host.execute(&mut world, 1, sqe, &[]);
    let equal = host.read_data(0, 4096);
    let mut different = equal.clone();
    different[4000] ^= 1;
    for (data, status) in [(equal, Status::SUCCESS), (different, Status::COMPARE_FAILURE)] {
        host.data.write(0, &data);
        let mut sqe = host.rw(IoOpcode::Compare, 9, 8, 0);
        assert!(host.execute(&mut world, 1, sqe, &[]).status().is(status));
        sqe.set_sgl(Sgl::InCapsule { offset: 0, len: 4096 });
        assert!(host.execute(&mut world, 1, sqe, &data).status().is(status));
    }
}

/// Goal: Write Zeroes and Dataset Management leave zeroes exactly where they should.
#[test]
fn zeroes_land_where_they_should() {
    let mut world = World::new();
    let mut host = world.connected(1, 4);
    let all = |host: &mut super::Host, world: &mut World| {
        let sqe = host.rw(IoOpcode::Read, 0, 64, 0);
        assert!(host.execute(world, 1, sqe, &[]).status().is_success());
        host.read_data(0, 64 * 512)
    };
    let mut expected = all(&mut host, &mut world);
    for deallocate in [false, true] {
        let start = 10 + 4 * u64::from(deallocate);
        let rw = Rw { deallocate, ..Rw::new(Lba(start), 3).unwrap() };
        let sqe = rw.command(IoOpcode::WriteZeroes, Cid(0), Nsid(1));
        assert!(host.execute(&mut world, 1, sqe, &[]).status().is_success());
        expected[start as usize * 512..][..3 * 512].fill(0);
    }
    let ranges = [(20, 1), (30, 4), (0, 0), (63, 1)];
    let octets: Vec<u8> = ranges
        .iter()
        .flat_map(|(start, count)| *DsmRange::new(Lba(*start), *count).as_octets())
        .collect();
    for in_capsule in [true, false] {
        let command = DsmCmd {
            ranges: ZeroBased::<u8>::from_count(4).unwrap(),
            deallocate: true,
            integral_write: false,
            integral_read: false,
        };
        let mut sqe = command.command(Cid(0), Nsid(1));
        host.data.write(0, &octets);
        // As Linux does: 4,096 octets whatever the number of ranges.
        sqe.set_sgl(if in_capsule {
            Sgl::InCapsule { offset: 0, len: 4096 }
        } else {
            host.sgl(0, 4096)
        });
        let mut capsule = octets.clone();
        capsule.resize(4096, 0);
        assert!(host.execute(&mut world, 1, sqe, &capsule).status().is_success());
        for (start, count) in ranges {
            expected[start as usize * 512..][..count as usize * 512].fill(0);
        }
        assert!(all(&mut host, &mut world) == expected);
        let sqe = host.rw(IoOpcode::Write, 20, 1, 8192);
        host.execute(&mut world, 1, sqe, &[]);
    }
}

/// Goal: Flush, Verify and hints without Deallocate succeed and change nothing.
#[test]
fn commands_without_data_succeed() {
    let mut world = World::new();
    let mut host = world.connected(1, 4);
    let flush = Sqe::new(IoOpcode::Flush.octet(), Cid(0), Nsid(2));
    assert!(host.execute(&mut world, 1, flush, &[]).status().is_success());
    let verify = Rw::new(Lba(BLOCKS - 8), 8).unwrap().command(IoOpcode::Verify, Cid(0), Nsid(1));
    assert!(host.execute(&mut world, 1, verify, &[]).status().is_success());
    let hint = DsmCmd {
        ranges: ZeroBased::<u8>::from_raw(0),
        deallocate: false,
        integral_write: true,
        integral_read: false,
    };
    let mut sqe = hint.command(Cid(0), Nsid(1));
    sqe.set_sgl(host.sgl(0, 16));
    assert!(host.execute(&mut world, 1, sqe, &[]).status().is_success());
}

/// Goal: the head pointer in completions counts commands modulo the queue's size.
#[test]
fn head_pointer_counts_commands() {
    let mut world = World::new();
    let mut host = world.connected(1, 4);
    let heads: Vec<u16> = (0..6)
        .map(|_| {
            let sqe = host.rw(IoOpcode::Read, 0, 1, 0);
            host.execute(&mut world, 1, sqe, &[]).sq_head()
        })
        .collect();
    // Connect was the first.
    assert_eq!(heads, [2, 3, 0, 1, 2, 3]);
}
