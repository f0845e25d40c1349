//! Opcodes: what a packet is, and which headers follow the BTH.
//!
//! Source: IBTA 1.4, "OpCode" table; `0xC0..=0xFF` is left to manufacturers and is the native mode.

macro_rules! opcodes {
    ($($(#[$doc:meta])* $name:ident = $value:literal, $operation:ident, $position:ident;)*) => {
        /// BTH opcode. RC, the datagram pair that CM needs, CNP, and the native mode.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Opcode { $($(#[$doc])* $name = $value,)* }

        impl Opcode {
            /// Every opcode, in the order of the octet.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// `None` for opcodes that this stack does not speak.
            #[inline]
            #[must_use]
            pub const fn from_octet(octet: u8) -> Option<Self> {
                match octet {
                    $($value => Some(Self::$name),)*
                    _ => None,
                }
            }

            /// What it does, without its place in the message.
            #[inline]
            #[must_use]
            pub const fn operation(self) -> Operation {
                match self { $(Self::$name => Operation::$operation,)* }
            }

            /// Its place in the message.
            #[inline]
            #[must_use]
            pub const fn position(self) -> Position {
                match self { $(Self::$name => Position::$position,)* }
            }
        }
    };
}

/// What an opcode does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// SEND, any variant.
    Send,
    /// RDMA WRITE, any variant.
    RdmaWrite,
    /// RDMA READ request.
    RdmaReadRequest,
    /// RDMA READ response.
    RdmaReadResponse,
    /// Acknowledge.
    Acknowledge,
    /// Acknowledge of an atomic, with the original value.
    AtomicAcknowledge,
    /// Compare and swap.
    CompareSwap,
    /// Fetch and add.
    FetchAdd,
    /// FLUSH (memory placement extension).
    Flush,
    /// ATOMIC WRITE (memory placement extension).
    AtomicWrite,
    /// UD SEND, with or without immediate.
    DatagramSend,
    /// Congestion notification packet.
    CongestionNotification,
    /// The native mode; its opcode says the rest.
    Native,
}

/// A packet's place in its message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Position {
    /// More follow.
    First,
    /// Neither first nor last.
    Middle,
    /// Ends what a `First` began.
    Last,
    /// The whole message.
    Only,
}

opcodes! {
    /// SEND first.
    SendFirst = 0x00, Send, First;
    /// SEND middle.
    SendMiddle = 0x01, Send, Middle;
    /// SEND last.
    SendLast = 0x02, Send, Last;
    /// SEND last with immediate.
    SendLastImmediate = 0x03, Send, Last;
    /// SEND only.
    SendOnly = 0x04, Send, Only;
    /// SEND only with immediate.
    SendOnlyImmediate = 0x05, Send, Only;
    /// RDMA WRITE first.
    WriteFirst = 0x06, RdmaWrite, First;
    /// RDMA WRITE middle.
    WriteMiddle = 0x07, RdmaWrite, Middle;
    /// RDMA WRITE last.
    WriteLast = 0x08, RdmaWrite, Last;
    /// RDMA WRITE last with immediate.
    WriteLastImmediate = 0x09, RdmaWrite, Last;
    /// RDMA WRITE only.
    WriteOnly = 0x0a, RdmaWrite, Only;
    /// RDMA WRITE only with immediate.
    WriteOnlyImmediate = 0x0b, RdmaWrite, Only;
    /// RDMA READ request.
    ReadRequest = 0x0c, RdmaReadRequest, Only;
    /// RDMA READ response first.
    ReadResponseFirst = 0x0d, RdmaReadResponse, First;
    /// RDMA READ response middle.
    ReadResponseMiddle = 0x0e, RdmaReadResponse, Middle;
    /// RDMA READ response last.
    ReadResponseLast = 0x0f, RdmaReadResponse, Last;
    /// RDMA READ response only.
    ReadResponseOnly = 0x10, RdmaReadResponse, Only;
    /// Acknowledge: ACK, RNR NAK or NAK, as the AETH says.
    Acknowledge = 0x11, Acknowledge, Only;
    /// Atomic acknowledge.
    AtomicAcknowledge = 0x12, AtomicAcknowledge, Only;
    /// Compare and swap.
    CompareSwap = 0x13, CompareSwap, Only;
    /// Fetch and add.
    FetchAdd = 0x14, FetchAdd, Only;
    /// SEND last with invalidate.
    SendLastInvalidate = 0x16, Send, Last;
    /// SEND only with invalidate.
    SendOnlyInvalidate = 0x17, Send, Only;
    /// FLUSH.
    Flush = 0x1c, Flush, Only;
    /// ATOMIC WRITE.
    AtomicWrite = 0x1d, AtomicWrite, Only;
    /// UD SEND only.
    UdSendOnly = 0x64, DatagramSend, Only;
    /// UD SEND only with immediate.
    UdSendOnlyImmediate = 0x65, DatagramSend, Only;
    /// Congestion notification packet.
    Cnp = 0x81, CongestionNotification, Only;
    /// Native: part of a SEND.
    NativeSend = 0xc0, Native, Only;
    /// Native: part of an RDMA WRITE.
    NativeWrite = 0xc1, Native, Only;
    /// Native: RDMA READ request.
    NativeReadRequest = 0xc2, Native, Only;
    /// Native: part of an RDMA READ response.
    NativeReadResponse = 0xc3, Native, Only;
    /// Native: atomic request.
    NativeAtomicRequest = 0xc4, Native, Only;
    /// Native: atomic response.
    NativeAtomicResponse = 0xc5, Native, Only;
    /// Native: selective acknowledgement.
    NativeAck = 0xc8, Native, Only;
    /// Native: asks for an acknowledgement, carries nothing.
    NativeProbe = 0xc9, Native, Only;
}

impl Opcode {
    /// The octet on the wire.
    #[inline]
    #[must_use]
    pub const fn octet(self) -> u8 {
        self as u8
    }

    /// First of several packets. (A native packet says so in its flags, not here.)
    #[inline]
    #[must_use]
    pub const fn is_first(self) -> bool {
        matches!(self.position(), Position::First)
    }

    /// Neither first nor last.
    #[inline]
    #[must_use]
    pub const fn is_middle(self) -> bool {
        matches!(self.position(), Position::Middle)
    }

    /// Last of several packets.
    #[inline]
    #[must_use]
    pub const fn is_last(self) -> bool {
        matches!(self.position(), Position::Last)
    }

    /// The whole message in one packet.
    #[inline]
    #[must_use]
    pub const fn is_only(self) -> bool {
        matches!(self.position(), Position::Only)
    }

    /// Begins a message: first or only.
    #[inline]
    #[must_use]
    pub const fn begins_message(self) -> bool {
        self.is_first() || self.is_only()
    }

    /// Ends a message: last or only.
    #[inline]
    #[must_use]
    pub const fn ends_message(self) -> bool {
        self.is_last() || self.is_only()
    }

    /// A packet of the native mode ([`super::native`]).
    #[inline]
    #[must_use]
    pub const fn is_native(self) -> bool {
        self.octet() >= 0xc0
    }

    /// Sent by a responder: response or acknowledgement.
    #[inline]
    #[must_use]
    pub const fn is_response(self) -> bool {
        matches!(
            self.operation(),
            Operation::RdmaReadResponse | Operation::Acknowledge | Operation::AtomicAcknowledge
        )
    }

    /// A RETH follows.
    #[inline]
    #[must_use]
    pub const fn has_reth(self) -> bool {
        matches!(self.operation(), Operation::RdmaWrite) && self.begins_message()
            || matches!(
                self.operation(),
                Operation::RdmaReadRequest | Operation::Flush | Operation::AtomicWrite
            )
    }

    /// An AETH follows.
    #[inline]
    #[must_use]
    pub const fn has_aeth(self) -> bool {
        self.is_response() && !self.is_middle()
    }

    /// An AtomicETH follows.
    #[inline]
    #[must_use]
    pub const fn has_atomic(self) -> bool {
        matches!(self, Self::CompareSwap | Self::FetchAdd)
    }

    /// An AtomicAckETH follows the AETH.
    #[inline]
    #[must_use]
    pub const fn has_atomic_ack(self) -> bool {
        matches!(self, Self::AtomicAcknowledge)
    }

    /// Immediate data follow.
    #[inline]
    #[must_use]
    pub const fn has_imm(self) -> bool {
        matches!(
            self,
            Self::SendLastImmediate
                | Self::SendOnlyImmediate
                | Self::WriteLastImmediate
                | Self::WriteOnlyImmediate
                | Self::UdSendOnlyImmediate
        )
    }

    /// An IETH (key to invalidate) follows.
    #[inline]
    #[must_use]
    pub const fn has_ieth(self) -> bool {
        matches!(self, Self::SendLastInvalidate | Self::SendOnlyInvalidate)
    }

    /// A DETH follows.
    #[inline]
    #[must_use]
    pub const fn has_deth(self) -> bool {
        matches!(self, Self::UdSendOnly | Self::UdSendOnlyImmediate)
    }

    /// A FETH follows.
    #[inline]
    #[must_use]
    pub const fn has_feth(self) -> bool {
        matches!(self, Self::Flush)
    }

    /// May carry payload. For a CNP that is its 16 reserved octets.
    #[inline]
    #[must_use]
    pub const fn has_payload(self) -> bool {
        match self.operation() {
            Operation::Send
            | Operation::RdmaWrite
            | Operation::RdmaReadResponse
            | Operation::AtomicWrite
            | Operation::DatagramSend
            | Operation::CongestionNotification => true,
            Operation::Native => {
                matches!(self, Self::NativeSend | Self::NativeWrite | Self::NativeReadResponse)
            }
            Operation::RdmaReadRequest
            | Operation::Acknowledge
            | Operation::AtomicAcknowledge
            | Operation::CompareSwap
            | Operation::FetchAdd
            | Operation::Flush => false,
        }
    }

    /// Its message consumes a receive when it ends: SEND, or RDMA WRITE with immediate.
    #[inline]
    #[must_use]
    pub const fn consumes_receive(self) -> bool {
        matches!(self.operation(), Operation::Send | Operation::DatagramSend)
            || matches!(self, Self::WriteLastImmediate | Self::WriteOnlyImmediate)
    }
}
