//! Octets of one direction of a connection, cut into headers and data. Pure.

use wire::nvme_tcp::{
    CommonHeader, DIGEST_LEN, Digest, FatalStatus, Framing, HEADER_MAX, Pdu, PduFault, Receiver,
    Shape, digest,
};

/// What the next octets were.
#[derive(Debug)]
pub(super) enum Step<'o> {
    /// All were taken in, and more are wanted.
    Hungry,
    /// A header is complete. When it has data, [`Step::Data`] and one [`Step::End`] follow.
    Header(Shape, Pdu),
    /// Data of the PDU whose header was told last, in order; never empty.
    Data(&'o [u8]),
    /// All data of the PDU was told. `intact`: its digest is right, or it has none.
    End { intact: bool },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Header,
    /// Octets until the data begins.
    Pad(usize),
    /// Octets of data that are missing.
    Data(u32),
    /// The data digest.
    Sum,
}

/// One direction of a connection.
pub(super) struct Framer {
    receiver: Receiver,
    framing: Framing,
    state: State,
    header: [u8; HEADER_MAX + DIGEST_LEN],
    have: usize,
    /// Counts the PDUs that were begun, so that one that stays can be told from its successor.
    begun: u32,
    /// Octets of the header that is being read, or of the last one.
    seen: usize,
    shape: Option<Shape>,
    /// The digest of the data so far, and the one that came, as far as it has.
    running: Digest,
    sum: [u8; DIGEST_LEN],
    sum_have: usize,
}

impl Framer {
    /// Before the handshake.
    pub(super) fn new(receiver: Receiver) -> Framer {
        Framer {
            receiver,
            framing: Framing::PLAIN,
            state: State::Header,
            header: [0; HEADER_MAX + DIGEST_LEN],
            have: 0,
            begun: 0,
            seen: 0,
            shape: None,
            running: Digest::new(),
            sum: [0; DIGEST_LEN],
            sum_have: 0,
        }
    }
    /// What was settled holds from the next PDU on.
    pub(super) fn set_framing(&mut self, framing: Framing) {
        self.framing = framing;
    }
    /// What came of the header that was told last, or is being read.
    pub(super) fn header(&self) -> &[u8] {
        &self.header[..self.seen]
    }
    /// Which PDU has begun and is not whole; `None`: the next octet begins one.
    pub(super) fn unfinished(&self) -> Option<u32> {
        (self.have > 0 || self.state != State::Header).then_some(self.begun)
    }
    /// Octets of data that are missing, when they need not pass through here: there is no digest.
    pub(super) fn unsummed_data(&self) -> Option<u32> {
        match (self.state, self.shape) {
            (State::Data(missing), Some(Shape { data_digest: false, .. })) => Some(missing),
            (State::Header | State::Pad(_) | State::Data(_) | State::Sum, _) => None,
        }
    }
    /// `bytes` of [`Framer::unsummed_data`] have landed elsewhere. Panics when it is more than that.
    pub(super) fn skip_data(&mut self, bytes: u32) {
        let missing = self.unsummed_data().expect("data without a digest is missing");
        self.state = State::Data(missing.checked_sub(bytes).expect("no more than is missing"));
    }

    /// Takes octets off the front of `input`. Errors: the peer's fault, after which nothing follows.
    pub(super) fn next<'o>(&mut self, input: &mut &'o [u8]) -> Result<Step<'o>, PduFault> {
        loop {
            match self.state {
                State::Header => return self.read_header(input),
                State::Pad(missing) => {
                    let skipped = take(input, missing).len();
                    if skipped < missing {
                        self.state = State::Pad(missing - skipped);
                        return Ok(Step::Hungry);
                    }
                    self.state = State::Data(self.shape.map_or(0, |shape| shape.data_bytes));
                }
                State::Data(0) => {
                    if !self.shape.is_some_and(|shape| shape.data_digest) {
                        self.state = State::Header;
                        self.have = 0;
                        return Ok(Step::End { intact: true });
                    }
                    (self.state, self.sum_have) = (State::Sum, 0);
                }
                State::Data(missing) => return Ok(self.read_data(input, missing)),
                State::Sum => return Ok(self.read_sum(input)),
            }
        }
    }

    fn read_header<'o>(&mut self, input: &mut &'o [u8]) -> Result<Step<'o>, PduFault> {
        if self.have < CommonHeader::LEN {
            if self.have == 0 {
                self.shape = None;
                self.begun = self.begun.wrapping_add(1);
            }
            self.fill(input, CommonHeader::LEN);
            let Some(common) = self.header[..self.have].first_chunk() else {
                return Ok(Step::Hungry);
            };
            let common = CommonHeader::decode(common);
            self.shape = Some(common.shape(self.receiver, &self.framing)?);
        }
        let shape = self.shape.expect("told by the common header");
        self.fill(input, shape.header_bytes);
        if self.have < shape.header_bytes {
            return Ok(Step::Hungry);
        }
        let header = usize::from(shape.kind.hlen());
        if shape.header_digest {
            self.check_header(header)?;
        }
        let pdu = Pdu::decode(shape.kind, &self.header[..header]).expect("all of it is there");
        if shape.data_bytes > 0 {
            self.state = State::Pad(shape.pad_bytes);
            self.running = Digest::new();
        } else {
            self.have = 0;
        }
        Ok(Step::Header(shape, pdu))
    }
    fn check_header(&self, bytes: usize) -> Result<(), PduFault> {
        let (header, came) = self.header[..self.have].split_at(bytes);
        if digest(header) == came {
            return Ok(());
        }
        let information = came.first_chunk().map_or(0, |came| u32::from_le_bytes(*came));
        Err(PduFault { status: FatalStatus::HeaderDigest, information })
    }
    fn fill(&mut self, input: &mut &[u8], until: usize) {
        let came = take(input, until - self.have);
        self.header[self.have..self.have + came.len()].copy_from_slice(came);
        self.have += came.len();
        self.seen = self.have;
    }

    fn read_data<'o>(&mut self, input: &mut &'o [u8], missing: u32) -> Step<'o> {
        let data = take(input, missing as usize);
        if data.is_empty() {
            return Step::Hungry;
        }
        if self.shape.is_some_and(|shape| shape.data_digest) {
            self.running.update(data);
        }
        #[expect(clippy::cast_possible_truncation, reason = "at most what is missing")]
        let left = missing - data.len() as u32;
        self.state = State::Data(left);
        Step::Data(data)
    }
    fn read_sum<'o>(&mut self, input: &mut &'o [u8]) -> Step<'o> {
        let came = take(input, DIGEST_LEN - self.sum_have);
        self.sum[self.sum_have..self.sum_have + came.len()].copy_from_slice(came);
        self.sum_have += came.len();
        if self.sum_have < DIGEST_LEN {
            return Step::Hungry;
        }
        self.state = State::Header;
        self.have = 0;
        Step::End { intact: self.running.octets() == self.sum }
    }
}

/// Up to `most` octets off the front.
fn take<'o>(input: &mut &'o [u8], most: usize) -> &'o [u8] {
    let (now, later) = input.split_at(input.len().min(most));
    *input = later;
    now
}
