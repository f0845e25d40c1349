//! Commands, completions, descriptors: values survive the octets and the octets the values.

use proptest::prelude::*;

use super::reservation::{ReportCmd, ReservationCmd};
use super::*;

fn sqe() -> impl Strategy<Value = Sqe> {
    any::<([u8; 32], [u8; 32])>().prop_map(|(head, tail)| {
        let mut octets = [0; 64];
        octets[..32].copy_from_slice(&head);
        octets[32..].copy_from_slice(&tail);
        Sqe::from_octets(octets)
    })
}

proptest! {
    /// Goal: whatever a host sends, every command reads it without a panic, and what was read
    /// makes a command that reads the same.
    #[test]
    fn commands_read_back(sqe in sqe()) {
        let (cid, nsid) = (sqe.cid(), sqe.nsid());
        let rw = Rw::decode(&sqe);
        prop_assert_eq!(Rw::decode(&rw.command(IoOpcode::Read, cid, nsid)), rw);
        let dsm = DsmCmd::decode(&sqe);
        prop_assert_eq!(DsmCmd::decode(&dsm.command(cid, nsid)), dsm);
        let identify = IdentifyCmd::decode(&sqe);
        prop_assert_eq!(IdentifyCmd::decode(&identify.command(cid, nsid)), identify);
        let log = GetLogPageCmd::decode(&sqe);
        prop_assert_eq!(GetLogPageCmd::decode(&log.command(cid, nsid)), log);
        let copy = CopyCmd::decode(&sqe);
        prop_assert_eq!(CopyCmd::decode(&copy.command(cid, nsid)), copy);
        let reserve = ReservationCmd::decode(&sqe);
        let again = reserve.command(IoOpcode::ReservationAcquire, cid, nsid);
        prop_assert_eq!(ReservationCmd::decode(&again), reserve);
        let report = ReportCmd::decode(&sqe);
        prop_assert_eq!(ReportCmd::decode(&report.command(cid, nsid)), report);
        let abort = AbortCmd::decode(&sqe);
        prop_assert_eq!(AbortCmd::decode(&abort.command(cid)), abort);
        prop_assert_eq!(FeatureCmd::decode(&sqe).value, sqe.cdw11());
        let text = format!("{sqe:?}");
        prop_assert!(!text.is_empty());
    }

    /// Goal: any descriptor reads, and what was read reads back.
    #[test]
    fn descriptors_read_back(octets in any::<[u8; 16]>(), kind in proptest::sample::select(&[0, 1, 0x40, 0x4f, 0x5a, 0x30][..])) {
        let mut octets = octets;
        octets[15] = kind;
        let sgl = Sgl::decode(&octets);
        prop_assert_eq!(Sgl::decode(&sgl.encode()), sgl);
        prop_assert_eq!(matches!(sgl, Sgl::Other(_)), kind == 0x30);
        prop_assert_eq!(sgl.encode()[15], kind);
    }

    /// Goal: a completion's last word survives but for the phase.
    #[test]
    fn status_words_survive(word in any::<u16>()) {
        prop_assert_eq!(Status::from_word(word).word(), word & !1);
    }
}

/// Goal: a Read as a stock Linux host sends it, octet by octet.
#[test]
fn read_lies_as_linux_sends_it() {
    let mut sqe =
        Rw::new(Lba(0x0102_0304_0506), 8).unwrap().command(IoOpcode::Read, Cid(0x1234), Nsid(1));
    sqe.set_sgl(Sgl::Keyed {
        addr: 0xa1a2_a3a4_a5a6_a7a8,
        len: 4096,
        key: 0xb1b2_b3b4,
        invalidate: true,
    });
    let mut octets = [0; 64];
    octets[..8].copy_from_slice(&[2, 0x40, 0x34, 0x12, 1, 0, 0, 0]);
    octets[24..32].copy_from_slice(&[0xa8, 0xa7, 0xa6, 0xa5, 0xa4, 0xa3, 0xa2, 0xa1]);
    octets[32..40].copy_from_slice(&[0, 0x10, 0, 0xb4, 0xb3, 0xb2, 0xb1, 0x4f]);
    octets[40..46].copy_from_slice(&[6, 5, 4, 3, 2, 1]);
    octets[48] = 7;
    assert_eq!(sqe.as_octets(), &octets);
    assert_eq!(sqe.io_opcode(), Some(IoOpcode::Read));
}

/// Goal: flags of a write are the bits that the specification says.
#[test]
fn write_flags_are_their_bits() {
    let rw = Rw {
        fua: true,
        deallocate: true,
        limited_retry: true,
        protection: 9,
        ..Rw::new(Lba(0), 65_536).unwrap()
    };
    let sqe = rw.command(IoOpcode::WriteZeroes, Cid(0), Nsid(1));
    assert_eq!(sqe.cdw12(), 1 << 31 | 1 << 30 | 9 << 26 | 1 << 25 | 0xffff);
    assert!(Rw::new(Lba(0), 0).is_none() && Rw::new(Lba(0), 65_537).is_none());
}

/// Goal: Get Log Page's length is spread over two dwords and does not overflow.
#[test]
fn log_length_spans_two_dwords() {
    let dwords = ZeroBased::<u32>::from_count(0x0001_0002).unwrap();
    let command = GetLogPageCmd { lid: 0x70, dwords, offset: 1 << 33, ..GetLogPageCmd::default() };
    let sqe = command.command(Cid(1), Nsid::NONE);
    assert_eq!((sqe.cdw10(), sqe.cdw11()), (0x0001_0070, 1));
    assert_eq!((sqe.cdw12(), sqe.cdw13()), (0, 2));
    let most = GetLogPageCmd { dwords: ZeroBased::<u32>::from_raw(u32::MAX), ..command };
    assert_eq!(most.len_bytes(), 1 << 34);
}

/// Goal: a completion by octets; its status by bits.
#[test]
fn completion_lies_as_specified() {
    let status = Status::INVALID_FIELD.do_not_retry();
    let mut cqe = Cqe::new(Cid(0x0a0b), QueueId(3), 0x0c0d, status);
    cqe.set_dw0(0x0102_0304);
    let octets = [4, 3, 2, 1, 0, 0, 0, 0, 0x0d, 0x0c, 3, 0, 0x0b, 0x0a, 4, 0x80];
    assert_eq!(cqe.as_octets(), &octets);
    assert!(cqe.status().is(Status::INVALID_FIELD) && !cqe.status().is_success());
    cqe.set_phase(true).set_status(Status::SUCCESS);
    assert!(cqe.phase() && cqe.status().is_success());
    assert_eq!(status.to_string(), "Invalid field in command (sct 0h sc 02h, do not retry)");
    assert_eq!(Status::new(7, 1).as_str(), "unknown status");
    assert_eq!(Status::CONNECT_INVALID_HOST.as_str(), "Connect invalid host");
}

/// Goal: values of features and events by their octets.
#[test]
fn features_and_events_are_dwords() {
    let count = QueueCount::from_dword(0x0003_0001);
    assert_eq!((count.submission.count(), count.completion.count()), (2, 4));
    assert_eq!(count.dword(), 0x0003_0001);
    let sqe = FeatureCmd::set(FeatureId::KEEP_ALIVE, 15_000, Cid(2), Nsid::NONE);
    assert_eq!(FeatureCmd::decode(&sqe).fid, FeatureId::KEEP_ALIVE);
    assert_eq!(AsyncEvent::DISCOVERY_CHANGED.dword(), 0x0070_f002);
    assert_eq!(AsyncEvent::from_dword(0x0070_f002), AsyncEvent::DISCOVERY_CHANGED);
    let mut stamp = Timestamp::zeroed();
    stamp.set_unix_ms(0x0102_0304_0506).set_origin(1);
    assert_eq!(stamp.as_octets(), &[6, 5, 4, 3, 2, 1, 2, 0]);
}

/// Goal: zero-based counts never overflow, at both ends.
#[test]
fn zero_based_counts_have_no_overflow() {
    assert_eq!(ZeroBased::<u16>::from_raw(u16::MAX).count(), 65_536);
    assert_eq!(ZeroBased::<u16>::from_count(65_536).map(ZeroBased::<u16>::raw), Some(u16::MAX));
    assert_eq!(ZeroBased::<u16>::from_count(0), None);
    assert_eq!(ZeroBased::<u8>::from_count(257), None);
}

/// Goal: opcodes are their octets, and each has a word.
#[test]
fn opcodes_are_their_octets() {
    for opcode in AdminOpcode::ALL {
        assert_eq!(AdminOpcode::from_octet(opcode.octet()), Some(*opcode));
    }
    for opcode in IoOpcode::ALL {
        assert_eq!(IoOpcode::from_octet(opcode.octet()), Some(*opcode));
    }
    assert_eq!(IoOpcode::from_octet(0x7e), None);
    assert_eq!(AdminOpcode::KeepAlive.as_str(), "keep_alive");
}
