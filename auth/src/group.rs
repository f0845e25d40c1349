//! The finite fields of RFC 7919 and powers in them.
//!
//! A prime of `b` bits is `2^b − 2^(b−64) + (⌊2^(b−130) e⌋ + X) 2^64 − 1`: it is computed from that
//! definition, once, rather than written down in up to 2,048 digits. Source: RFC 7919, appendix A.

use crypto_bigint::modular::{BoxedMontyForm, BoxedMontyParams};
use crypto_bigint::{BoxedUint, Odd, Resize};
use std::sync::OnceLock;
use wire::fabrics::auth::DhGroup;
use zeroize::Zeroizing;

/// Octets of a private exponent: twice the strength of the largest group (RFC 7919, section 5.2, wants
/// 400 bits for ffdhe8192), and half a thousand squarings instead of eight.
pub(crate) const EXPONENT_BYTES: usize = 64;
const EXPONENT_BITS: u32 = 512;

/// X of the definition.
const fn offset(group: DhGroup) -> u64 {
    match group {
        DhGroup::Null => 0,
        DhGroup::Ffdhe2048 => 560_316,
        DhGroup::Ffdhe3072 => 2_625_351,
        DhGroup::Ffdhe4096 => 5_736_041,
        DhGroup::Ffdhe6144 => 15_705_020,
        DhGroup::Ffdhe8192 => 10_965_728,
    }
}

/// A group, ready to compute in.
pub(crate) struct Field {
    params: BoxedMontyParams,
    bytes: usize,
}

/// The field of `group`; `None` for the null group.
pub(crate) fn field(group: DhGroup) -> Option<&'static Field> {
    static FIELDS: [OnceLock<Field>; 5] = [const { OnceLock::new() }; 5];
    let at = usize::from(group.octet()).checked_sub(1)?;
    Some(FIELDS[at].get_or_init(|| Field::new(group)))
}

impl Field {
    fn new(group: DhGroup) -> Field {
        let bytes = group.value_bytes();
        let prime = integer(&prime(group), bytes);
        let prime = Odd::new(prime).into_option().expect("it ends in 64 ones");
        Field { params: BoxedMontyParams::new_vartime(prime), bytes }
    }
    /// 2^`exponent` mod p, as many octets as p has, big endian. Constant time.
    pub(crate) fn public(&self, exponent: &[u8; EXPONENT_BYTES]) -> Vec<u8> {
        self.power(BoxedUint::from(2_u64), exponent)
    }
    /// `peer`^`exponent` mod p, likewise. `None`: the value is not of the length of p, or none that an
    /// honest peer has: 0, 1 and p−1 give a result that everybody knows (RFC 7919, section 5.1).
    pub(crate) fn shared(
        &self,
        peer: &[u8],
        exponent: &[u8; EXPONENT_BYTES],
    ) -> Option<Zeroizing<Vec<u8>>> {
        if peer.len() != self.bytes {
            return None;
        }
        let value = integer(peer, self.bytes);
        let one = BoxedUint::one_with_precision(value.bits_precision());
        let last = self.params.modulus().as_ref().wrapping_sub(&one);
        // The value was public on the wire: nothing is lost by looking at it.
        (value > one && value < last).then(|| Zeroizing::new(self.power(value, exponent)))
    }
    fn power(&self, base: BoxedUint, exponent: &[u8; EXPONENT_BYTES]) -> Vec<u8> {
        let exponent = Zeroizing::new(integer(exponent, EXPONENT_BYTES));
        let base = base.resize_unchecked(self.params.bits_precision());
        let power = BoxedMontyForm::new(base, &self.params);
        let power = power.pow_bounded_exp(&exponent, EXPONENT_BITS).retrieve();
        power.to_be_bytes().into_vec()
    }
}

/// Panics when `octets` are more than `bytes`.
fn integer(octets: &[u8], bytes: usize) -> BoxedUint {
    let bits = u32::try_from(bytes * 8).expect("at most 8,192");
    BoxedUint::from_be_slice(octets, bits).expect("as many octets as were asked for")
}

/// The prime, big endian.
pub(crate) fn prime(group: DhGroup) -> Vec<u8> {
    let words = group.value_bytes() / 8;
    // Little endian words: the term −1 fills the last one with ones and takes 1 of the one before,
    // 2^b − 2^(b−64) is ones in the first.
    let mut p = vec![u64::MAX; words];
    let middle = e_shifted(words - 2, offset(group) - 1);
    p[1..words - 1].copy_from_slice(&middle);
    p.iter().rev().flat_map(|word| word.to_be_bytes()).collect()
}

/// ⌊2^(64 `words` − 2) e⌋ + `offset` in as many words, little endian: e has two bits in front of its
/// point. The sum of 1/k!, in fixed point with a spare word.
fn e_shifted(words: usize, offset: u64) -> Vec<u64> {
    let len = words + 1;
    let mut term = vec![0_u64; len];
    term[len - 1] = 1 << 62;
    let mut sum = vec![0_u64; len];
    let mut k = 0;
    while term.iter().any(|word| *word != 0) {
        add(&mut sum, &term);
        k += 1;
        divide(&mut term, k);
    }
    let mut e = sum.split_off(1);
    let mut small = vec![0; words];
    small[0] = offset;
    add(&mut e, &small);
    e
}

fn add(sum: &mut [u64], other: &[u64]) {
    let mut carry = false;
    for (word, other) in sum.iter_mut().zip(other) {
        (*word, carry) = word.carrying_add(*other, carry);
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a quotient of a digit and a rest below k")]
fn divide(term: &mut [u64], k: u64) {
    let mut rest = 0_u128;
    for word in term.iter_mut().rev() {
        let digit = rest << 64 | u128::from(*word);
        *word = (digit / u128::from(k)) as u64;
        rest = digit % u128::from(k);
    }
}
