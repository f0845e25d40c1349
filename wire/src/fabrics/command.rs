//! Fabrics commands: what they say in their submission queue entry.

use crate::nvme::{AdminOpcode, Cid, FabricsType, Nsid, QueueId, Sqe, ZeroBased};
use crate::octets::{Bits, Le16, Le32, Le64, U8, get, set};

const CDW10: usize = 40;

pub(super) fn fabrics(fabrics_type: FabricsType, cid: Cid) -> [u8; Sqe::LEN] {
    let mut sqe = Sqe::new(AdminOpcode::Fabrics.octet(), cid, Nsid::NONE);
    sqe.set_fabrics_type(fabrics_type);
    *sqe.as_octets()
}

/// Connect: makes an association (admin queue) or adds an I/O queue to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectCmd {
    /// Format: 0.
    pub record_format: u16,
    /// 0 = admin.
    pub queue: QueueId,
    /// Entries of the submission queue.
    pub sq_size: ZeroBased<u16>,
    /// Attributes: bit 2 = submission queue flow control is off.
    pub attributes: u8,
    /// Keep alive timeout in milliseconds; 0 = off. Admin queue only.
    pub keep_alive_ms: u32,
}

impl ConnectCmd {
    /// Attribute: no submission queue flow control.
    pub const NO_FLOW_CONTROL: u8 = 1 << 2;

    /// Reads the command.
    #[must_use]
    pub fn decode(sqe: &Sqe) -> Self {
        let octets = sqe.as_octets();
        Self {
            record_format: get::<Le16, _>(octets, CDW10),
            queue: QueueId(get::<Le16, _>(octets, CDW10 + 2)),
            sq_size: ZeroBased::<u16>::from_raw(get::<Le16, _>(octets, CDW10 + 4)),
            attributes: octets[CDW10 + 6],
            keep_alive_ms: get::<Le32, _>(octets, CDW10 + 8),
        }
    }

    /// The command; its SGL describes a [`super::ConnectData`].
    #[must_use]
    pub fn command(&self, cid: Cid) -> Sqe {
        let mut octets = fabrics(FabricsType::Connect, cid);
        set::<Le16, _>(&mut octets, CDW10, self.record_format);
        set::<Le16, _>(&mut octets, CDW10 + 2, self.queue.0);
        set::<Le16, _>(&mut octets, CDW10 + 4, self.sq_size.raw());
        octets[CDW10 + 6] = self.attributes;
        set::<Le32, _>(&mut octets, CDW10 + 8, self.keep_alive_ms);
        Sqe::from_octets(octets)
    }
}

/// Size of a property.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PropertySize {
    /// 4 octets.
    Four,
    /// 8 octets.
    Eight,
    /// A reserved code.
    Reserved(u8),
}

impl PropertySize {
    const fn from_code(code: u8) -> Self {
        match code {
            0 => Self::Four,
            1 => Self::Eight,
            other => Self::Reserved(other),
        }
    }

    const fn code(self) -> u8 {
        match self {
            Self::Four => 0,
            Self::Eight => 1,
            Self::Reserved(code) => code,
        }
    }
}

/// Property Get. The value comes in the completion's result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PropertyGetCmd {
    /// Of the property.
    pub size: PropertySize,
    /// See [`super::Property`].
    pub offset: u32,
}

impl PropertyGetCmd {
    /// Reads the command.
    #[must_use]
    pub fn decode(sqe: &Sqe) -> Self {
        let code = get::<Bits<U8, 0, 3>, _>(sqe.as_octets(), CDW10);
        Self { size: PropertySize::from_code(code), offset: sqe.cdw11() }
    }

    /// The command.
    #[must_use]
    pub fn command(&self, cid: Cid) -> Sqe {
        let mut octets = fabrics(FabricsType::PropertyGet, cid);
        octets[CDW10] = self.size.code();
        set::<Le32, _>(&mut octets, CDW10 + 4, self.offset);
        Sqe::from_octets(octets)
    }
}

/// Property Set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PropertySetCmd {
    /// Of the property.
    pub size: PropertySize,
    /// See [`super::Property`].
    pub offset: u32,
    /// The value; the upper half is ignored for properties of 4 octets.
    pub value: u64,
}

impl PropertySetCmd {
    /// Reads the command.
    #[must_use]
    pub fn decode(sqe: &Sqe) -> Self {
        let octets = sqe.as_octets();
        Self {
            size: PropertySize::from_code(get::<Bits<U8, 0, 3>, _>(octets, CDW10)),
            offset: sqe.cdw11(),
            value: get::<Le64, _>(octets, CDW10 + 8),
        }
    }

    /// The command.
    #[must_use]
    pub fn command(&self, cid: Cid) -> Sqe {
        let mut octets = fabrics(FabricsType::PropertySet, cid);
        octets[CDW10] = self.size.code();
        set::<Le32, _>(&mut octets, CDW10 + 4, self.offset);
        set::<Le64, _>(&mut octets, CDW10 + 8, self.value);
        Sqe::from_octets(octets)
    }
}

/// Disconnect: ends an I/O queue. It has no fields beyond its record format, 0.
#[must_use]
pub fn disconnect_command(cid: Cid) -> Sqe {
    Sqe::from_octets(fabrics(FabricsType::Disconnect, cid))
}
