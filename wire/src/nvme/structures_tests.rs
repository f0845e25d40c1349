//! Identify structures, lists and log pages: each field at its offset.

use proptest::collection::vec;
use proptest::prelude::*;

use super::Nsid;
use super::Status;
use super::identify::*;
use super::log::*;

/// Goal: fields are at the offsets that the Python peer, which a Linux guest accepted, writes to.
#[test]
fn identify_controller_lies_as_a_linux_guest_accepts_it() {
    let mut id = IdentifyController::zeroed();
    id.set_sn(ascii_field("1")).set_mn(ascii_field("FlexBlk")).set_fr(ascii_field("0.1"));
    id.set_ver(0x0001_0300).set_cntrltype(1).set_aerl(3).set_kas(10);
    id.set_sqes_min(6).set_sqes_max(6).set_cqes_min(4).set_cqes_max(4).set_maxcmd(128).set_nn(1);
    id.set_sgls(IdentifyController::SGLS_SUPPORTED | IdentifyController::SGLS_KEYED);
    id.set_in_capsule_bytes(16_384).set_iorcsz(1).set_msdbd(1).set_cntlid(super::ControllerId(1));
    let octets = id.as_octets();
    assert_eq!(&octets[4..24], b"1                   ");
    assert_eq!(&octets[24..32], b"FlexBlk ");
    assert_eq!(&octets[64..72], b"0.1     ");
    assert_eq!((octets[78], octets[81], octets[82]), (1, 3, 1));
    assert_eq!((octets[111], octets[259], octets[320]), (1, 3, 10));
    assert_eq!(octets[512..517], [0x66, 0x44, 128, 0, 1]);
    assert_eq!(octets[536..540], [5, 0, 0, 0]);
    assert_eq!(octets[1792..1797], [4, 4, 0, 0, 1]);
    assert_eq!(octets[1803], 1);
    assert_eq!(id.in_capsule_bytes(), 16_384);
    assert_eq!(id.aer_count(), 4);
    assert_eq!(id.mdts_bytes(), None);
    assert_eq!(id.set_mdts(8).mdts_bytes(), Some(1 << 20));
    assert_eq!(id.set_mdts(200).mdts_bytes(), None);
    assert_eq!(trim_field(&id.mn()), Some("FlexBlk"));
}

/// Goal: a namespace's geometry reads back, and lying shifts are refused.
#[test]
fn identify_namespace_has_formats() {
    let mut ns = IdentifyNamespace::zeroed();
    let format = LbaFormat { metadata_bytes: 8, block_shift: 12, performance: 1 };
    ns.set_nsze(1 << 40).set_flbas_index(1).set_lba_format(1, format).set_nguid([9; 16]);
    ns.set_lba_format(15, format);
    assert_eq!(ns.as_octets()[132..136], [8, 0, 12, 1]);
    assert_eq!(ns.current_format(), Some(format));
    assert_eq!(format.block_bytes(), Some(4096));
    assert_eq!(ns.lba_format(16), None);
    for shift in [0, 8, 32, 255] {
        assert_eq!(LbaFormat { block_shift: shift, ..format }.block_bytes(), None);
    }
    assert_eq!(ns.as_octets()[104..120], [9; 16]);
}

/// Goal: namespace lists end at 0 and hold 1,024.
#[test]
fn namespace_lists_are_bounded() {
    let list = NamespaceList::new((1..=2000).map(Nsid));
    assert_eq!(list.iter().count(), NamespaceList::CAPACITY);
    let list = NamespaceList::new([Nsid(3), Nsid(9)]);
    assert_eq!(list.iter().collect::<Vec<_>>(), [Nsid(3), Nsid(9)]);
    assert_eq!(list.as_octets()[..9], [3, 0, 0, 0, 9, 0, 0, 0, 0]);
}

/// Goal: descriptors read back in order, and one that does not fit is left out whole.
#[test]
fn descriptor_lists_read_back() {
    let descriptors = [
        NamespaceDescriptor::Eui64([1; 8]),
        NamespaceDescriptor::Nguid([2; 16]),
        NamespaceDescriptor::Uuid([3; 16]),
        NamespaceDescriptor::CommandSet(0),
    ];
    let list = DescriptorList::new(descriptors);
    assert_eq!(list.as_octets()[..5], [1, 8, 0, 0, 1]);
    assert_eq!(list.iter().collect::<Vec<_>>(), descriptors);
    let full = DescriptorList::new([NamespaceDescriptor::Uuid([7; 16]); 300]);
    assert_eq!(full.iter().count(), 4096 / 20);
}

/// Goal: log pages by their offsets.
#[test]
fn log_pages_lie_as_specified() {
    let mut smart = SmartLog::zeroed();
    smart.set_temperature_k(300).set_data_units_read(7).set_media_errors(1 << 100);
    assert_eq!(smart.as_octets()[1..3], [0x2c, 1]);
    assert_eq!(smart.as_octets()[32], 7);
    assert_eq!(smart.as_octets()[160 + 12], 16);

    let mut error = ErrorLogEntry::zeroed();
    error.set_error_count(2).set_status(Status::LBA_OUT_OF_RANGE).set_lba(99);
    assert_eq!(error.as_octets()[12..14], [0, 1]);
    assert!(error.status().is(Status::LBA_OUT_OF_RANGE));

    let mut effects = CommandEffects::zeroed();
    effects.set_admin(6, Effects::SUPPORTED);
    effects.set_io(1, Effects::SUPPORTED.with(Effects::CHANGES_DATA));
    assert_eq!((effects.as_octets()[24], effects.as_octets()[1028]), (1, 3));
    assert!(effects.admin(6).is_supported() && !effects.io(0xff).is_supported());

    let mut pages = SupportedLogPages::zeroed();
    pages.insert(0x70).insert(0xff);
    assert!(pages.contains(0x70) && pages.contains(0xff) && !pages.contains(0x71));
}

/// Goal: the ANA page is laid out group by group, and a buffer too small is noticed.
#[test]
fn ana_page_is_written_or_refused() {
    let namespaces = [Nsid(1), Nsid(5)];
    let state = AnaState::Optimized;
    let group = AnaGroup { group_id: 1, change_count: 4, state, namespaces: &namespaces };
    let mut page = [0; 64];
    assert_eq!(write_ana_log(&mut page, 4, &[group]), Some(16 + 32 + 8));
    assert_eq!((page[0], page[8], page[16], page[20], page[32]), (4, 1, 1, 2, 1));
    assert_eq!((page[48], page[52]), (1, 5));
    assert_eq!(write_ana_log(&mut page[..55], 4, &[group]), None);
    assert_eq!(AnaState::from_code(0xf), Some(AnaState::Change));
    assert_eq!(AnaState::from_code(0), None);
}

/// Goal: ASCII fields hold no control character, and are cut, not overrun.
#[test]
fn ascii_fields_are_printable() {
    assert_eq!(&ascii_field::<4>("ab"), b"ab  ");
    assert_eq!(&ascii_field::<4>("abcdef"), b"abcd");
    assert_eq!(&ascii_field::<4>("a\n\u{e9}"), b"a???");
    assert_eq!(trim_field(b"ab \0\0"), Some("ab"));
    assert_eq!(trim_field(&[0xff]), None);
}

proptest! {
    /// Goal: lists of any octets can be walked.
    #[test]
    fn any_list_can_be_walked(octets in vec(any::<u8>(), 4096)) {
        let list = DescriptorList::decode(&octets).unwrap();
        prop_assert!(list.iter().count() <= 1024);
        let list = NamespaceList::decode(&octets).unwrap();
        prop_assert!(list.iter().all(|nsid| nsid != Nsid::NONE));
        let id = IdentifyController::decode(&octets).unwrap();
        let text = format!("{id:?}");
        prop_assert!(!text.is_empty());
        prop_assert_eq!(&id.as_octets()[..], &octets[..]);
    }
}
