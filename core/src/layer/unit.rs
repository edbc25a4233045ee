//! Numbers of several units, brought to one.

use crate::quant::{ceil_log2, jam};

/// The unit in which numbers of several units are added: the finest of theirs, or as fine as sums of
/// 30 bits allow.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unit {
    /// The smallest exponent, and the largest that any number reaches.
    low: i32,
    high: i32,
    count: u32,
}

/// What the coarser of two numbers leaves to the finer one: sums keep two bits of 32.
const LIMIT: i32 = 30;

impl Unit {
    /// Of no numbers.
    pub(crate) const NONE: Self = Self { low: i32::MAX, high: i32::MIN, count: 0 };

    /// With numbers of at most `2^bits` units of `2^exponent`.
    pub(crate) fn and(self, exponent: i16, bits: u8) -> Self {
        let (low, high) = (i32::from(exponent), i32::from(exponent) + i32::from(bits));
        Self { low: self.low.min(low), high: self.high.max(high), count: self.count + 1 }
    }

    /// The exponent of the unit.
    pub(crate) fn exponent(self) -> i16 {
        let lowest = self.high.saturating_add(self.growth()).saturating_sub(LIMIT);
        self.low.max(lowest).clamp(i16::MIN.into(), i16::MAX.into()) as i16
    }

    /// The sum of one number of each stays at or below `2^bits` units.
    pub(crate) fn bits(self) -> u8 {
        let high = self.high.saturating_add(self.growth());
        high.saturating_sub(self.exponent().into()).clamp(0, LIMIT) as u8
    }

    /// How far numbers of this exponent go to the left.
    pub(crate) fn left(self, exponent: i16) -> i32 {
        i32::from(exponent) - i32::from(self.exponent())
    }

    fn growth(self) -> i32 {
        ceil_log2(self.count).map_or(0, i32::from)
    }
}

/// `value * 2^left`; what is shifted out is jammed.
#[inline(always)]
pub(crate) fn shifted(value: i32, left: i32) -> i32 {
    match u32::try_from(left) {
        Ok(left) => value.wrapping_shl(left),
        Err(_) => jam(value.into(), left.unsigned_abs()) as i32,
    }
}

/// Moves numbers to the left.
pub(crate) fn shift(numbers: &mut [i32], left: i32) {
    numbers.iter_mut().for_each(|number| *number = shifted(*number, left));
}

/// Adds numbers that go `left`.
pub(crate) fn add_shifted(sums: &mut [i32], numbers: &[i32], left: i32) {
    for (sum, &number) in sums.iter_mut().zip(numbers) {
        *sum = sum.wrapping_add(shifted(number, left));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_finer_unit_is_taken_while_there_is_room() {
        let unit = Unit::NONE.and(-3, 7).and(-5, 7);
        assert_eq!((unit.exponent(), unit.bits()), (-5, 10));
        assert_eq!((unit.left(-3), unit.left(-5)), (2, 0));
        // 22 octaves apart, 7 bits and one for the sum are all that 30 bits hold.
        let unit = Unit::NONE.and(0, 7).and(-22, 7);
        assert_eq!((unit.exponent(), unit.bits()), (-22, 30));
        let unit = Unit::NONE.and(0, 7).and(-40, 7);
        assert_eq!((unit.exponent(), unit.bits(), unit.left(-40)), (-22, 30, -18));
        let one = Unit::NONE.and(4, 15);
        assert_eq!((one.exponent(), one.bits(), one.left(4)), (4, 15, 0));
    }

    #[test]
    fn what_is_shifted_out_leaves_a_trace() {
        assert_eq!([2, -2, 0].map(|left| shifted(-3, left)), [-12, -1, -3]);
        assert_eq!([-70, -31, -2].map(|left| shifted(4, left)), [1, 1, 1]);
        assert_eq!([-70, -31, -2].map(|left| shifted(0, left)), [0, 0, 0]);
    }

    proptest! {
        #[test]
        fn no_sum_is_larger_than_the_unit_says(
            parts in prop::collection::vec((-60i16..60, 0u8..=28), 1..5),
        ) {
            let unit = parts.iter().fold(Unit::NONE, |unit, &(e, bits)| unit.and(e, bits));
            prop_assert!(unit.bits() <= 30);
            let largest = |sign: i32| -> i64 {
                let of = |&(e, bits): &(i16, u8)| shifted(sign << bits, unit.left(e));
                parts.iter().map(of).map(i64::from).sum()
            };
            // Every part that went right may be one unit more than its share.
            let most = (1i64 << unit.bits()) + parts.len() as i64;
            prop_assert!(largest(1) <= most && -largest(-1) <= most);
        }
    }
}
