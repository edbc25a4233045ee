//! A slice of sums that become codes or move weights, such that everything happens that can.

use core::{array, ops::Range};

use super::Wrong;
use crate::{
    kernel::Kernel,
    optim::{Descend, Momentum, Rule, Update},
    quant::{Counts, Format, Overflow, Quantizer, Round, peak},
    rng::Key,
    tensor::{MantissasMut, Source},
};

/// Numbers in memory. A case takes some in the middle.
const ROOM: usize = 80;
/// The most that it takes.
const MOST: u32 = 72;
/// The largest rate: its product with any code stays below 2^30.
const STEEPEST: i32 = (1 << 23) - 1;

/// The slice, and what is done with it.
pub(super) struct Case {
    sums: [i32; ROOM],
    /// Weights, or what lies where codes go.
    bytes: [i8; ROOM],
    slice: Range<usize>,
    /// Where the slice begins in its tensor.
    pub(super) first: u32,
    /// The mask of the tensor, if there is one.
    pass: Option<[u8; ROOM / 8]>,
    pub(super) descend: Descend,
}

/// The bytes afterwards, and what was counted.
pub(super) type Outcome<C> = ([i8; ROOM], C);

impl Case {
    /// For loops over pairs. 900 cases have every number of dropped bits with every shift of the rate.
    pub(super) fn of_pairs(number: u32, round: Round) -> Self {
        let key = Key::new(number.into());
        let (k, shift) = (1 + number % 30, 1 + number / 30 % 30);
        // Bytes at any address, with some around them.
        let from = 1 + key.below(0, 4) as usize;
        // Often a single pair.
        let pairs = if key.below(1, 4) == 0 { 1 } else { 1 + key.below(2, MOST / 2) };
        let rate = rate(key.child(0), shift);
        Self {
            sums: sums(key.child(1), k),
            bytes: weights(key.child(2)),
            slice: from..from + 2 * pairs as usize,
            first: key.word(3) >> 2 << 1,
            pass: None,
            descend: Descend {
                quantizer: Quantizer {
                    shift: k.cast_signed(),
                    format: Format { bits: 8, round, overflow: Overflow::Sat },
                    key: key.child(3),
                    peak: u32::MAX,
                },
                quantized: false,
                momentum: None,
                update: Update {
                    lr: rate,
                    shift: shift.cast_signed(),
                    decay: 0,
                    decay_shift: 0,
                    round: Round::Stochastic,
                    key: key.child(4),
                },
            },
        }
    }

    /// For kernels: from any element on, by every rule, and masked or not.
    pub(super) fn of_any(number: u32) -> Self {
        let key = Key::new(number.into()).child(5);
        let rare = |index| key.below(index, 4) == 0;
        let case = Self::of_pairs(number, one_of(&Round::ALL, key.word(0), Round::Stochastic));
        let Descend { mut quantizer, mut update, .. } = case.descend;
        let mut sums = case.sums;
        if rare(1) {
            let words = key.child(0);
            sums = array::from_fn(|i| words.word(i as u32).cast_signed());
            quantizer.shift = words.below(ROOM as u32, 40).cast_signed() - 4;
        }
        if rare(2) {
            quantizer.format.bits = 1 + key.below(3, 8) as u8;
            quantizer.format.overflow = one_of(&Overflow::ALL, key.word(4), Overflow::Sat);
        }
        if rare(5) {
            update.shift = key.below(6, 40).cast_signed() - 4;
            update.round = one_of(&Round::ALL, key.word(7), Round::Stochastic);
        }
        // Rates of a trainer have 15 bits.
        update.lr %= 1 << 15;
        let from = case.slice.start;
        let slice = from..from + 1 + key.below(8, MOST) as usize;
        if rare(9) {
            quantizer.peak = sums.get(slice.clone()).map_or(u32::MAX, peak);
        }
        let masked = rare(10);
        Self {
            sums,
            slice,
            // A mask is of a small tensor.
            first: if masked { case.first % 8 } else { case.first } + key.below(11, 2),
            pass: masked.then(|| array::from_fn(|i| key.word(12 + i as u32) as u8)),
            descend: Descend { quantizer, update, ..case.descend },
            ..case
        }
    }

    /// With momentum, by every rule in turn.
    pub(super) fn with_momentum(mut self, number: u32) -> Self {
        let key = Key::new(number.into()).child(6);
        let factors = key.word(0);
        let exponent = |index| key.below(index, 24).cast_signed() as i16 - 12;
        let rule = match number % 3 {
            0 => Rule::Velocity,
            1 => Rule::Nesterov,
            _ => Rule::Lion { beta: (factors >> 17).cast_signed() },
        };
        self.descend.momentum = Some(Momentum {
            rule,
            factor: (factors & 0x7fff).cast_signed(),
            old_exponent: exponent(1),
            grad_exponent: exponent(2),
            new_exponent: exponent(3),
            round: self.descend.update.round,
            key: key.child(0),
        });
        self
    }

    /// What `work` makes of the slice.
    pub(super) fn outcome<C>(&self, work: impl FnOnce(&[i32], &mut [i8]) -> C) -> Outcome<C> {
        let mut bytes = self.bytes;
        let sums = self.sums.get(self.slice.clone()).unwrap_or_default();
        let counts = work(sums, bytes.get_mut(self.slice.clone()).unwrap_or_default());
        (bytes, counts)
    }

    /// The codes that a kernel makes.
    pub(super) fn quantized(&self, kernel: &impl Kernel) -> Outcome<Counts> {
        self.outcome(|sums, codes| {
            let (source, codes) = (Source::I32(sums), MantissasMut::I8(codes));
            kernel.quantize(&self.descend.quantizer, source, self.first, codes)
        })
    }

    /// The weights that a kernel moves.
    pub(super) fn descended(&self, kernel: &impl Kernel) -> Outcome<Counts> {
        let pass = self.pass.as_ref().map_or(&[][..], |pass| pass);
        self.outcome(|sums, weights| {
            let (velocity, master) = (MantissasMut::I8(&mut []), MantissasMut::I8(weights));
            kernel.descend(&self.descend, sums, self.first, pass, velocity, master).counts
        })
    }

    /// The weights that a kernel moves by a velocity, and that velocity, which begins where the
    /// weights do, with its largest magnitude.
    pub(super) fn driven(&self, kernel: &impl Kernel) -> (Outcome<Counts>, Outcome<u32>) {
        let pass = self.pass.as_ref().map_or(&[][..], |pass| pass);
        let mut peak = 0;
        let mut velocities = self.bytes;
        let weights = self.outcome(|sums, weights| {
            let velocity = velocities.get_mut(self.slice.clone()).unwrap_or_default();
            let (velocity, master) = (MantissasMut::I8(velocity), MantissasMut::I8(weights));
            let seen = kernel.descend(&self.descend, sums, self.first, pass, velocity, master);
            peak = seen.velocity_peak;
            seen.counts
        });
        (weights, (velocities, peak))
    }

    /// Compares a result with the right one.
    pub(super) fn compare<C: PartialEq>(
        &self,
        ours: &Outcome<C>,
        right: &Outcome<C>,
    ) -> Result<(), Wrong> {
        let mut wrong = Ok(());
        for (i, (our_byte, right_byte)) in ours.0.iter().zip(&right.0).enumerate() {
            if our_byte != right_byte {
                if !self.slice.contains(&i) {
                    return Err(Wrong::Beyond);
                }
                wrong = Err(Wrong::Numbers);
            }
        }
        if ours.1 != right.1 { wrong.and(Err(Wrong::Counts)) } else { wrong }
    }
}

/// Sums from `-2^30` to `2^30 - 1` of which `k` bits are to be dropped, 1 to 30: they become zero,
/// fit eight bits, lie at the borders of these, or do not fit. In one case of four all of them are
/// small, so that neighbours become zero together.
fn sums(key: Key, k: u32) -> [i32; ROOM] {
    const EXTREMES: [i32; 4] = [-1 << 30, (1 << 30) - 1, -1, 1];
    let kinds = if key.below(0, 4) == 0 { 2 } else { 8 };
    let (numbers, choices) = (key.child(0), key.child(1));
    array::from_fn(|i| {
        let number = numbers.word(i as u32).cast_signed();
        let of_bits = |bits: u32| number >> (32 - bits.min(31));
        let choice = choices.word(i as u32);
        match choice >> 16 & (kinds - 1) {
            0 => 0,
            1 => of_bits(k),
            2 => of_bits(k + 6),
            3 => of_bits(k + 8),
            4 => of_bits(k + 9),
            5 => of_bits(31),
            6 => one_of(&EXTREMES, choice, 0),
            _ => {
                let k = k.min(22);
                one_of(&[-128 << k, 128 << k], choice, 0) + of_bits(k + 1)
            }
        }
    })
}

/// Weights anywhere, or at the borders only.
fn weights(key: Key) -> [i8; ROOM] {
    let borders = key.below(0, 2) == 0;
    array::from_fn(|i| {
        let word = key.word(i as u32 + 1);
        if borders { one_of(&[-128, -127, 126, 127], word, 0) } else { (word >> 24) as i8 }
    })
}

/// A rate of either sign: the steepest, any, or one that moves a weight by about a byte, or by
/// about one.
fn rate(key: Key, shift: u32) -> i32 {
    let of_bits = |bits: u32| key.word(0).cast_signed() >> (32 - bits.min(24));
    let rate = match key.below(1, 8) {
        0 => STEEPEST,
        1 => -STEEPEST,
        2 => of_bits(24),
        3..=5 => of_bits(shift + 2),
        _ => of_bits(shift.max(7) - 5),
    };
    rate.max(-STEEPEST)
}

/// The one that a word picks; `none` where there are none.
pub(super) fn one_of<T: Copy>(values: &[T], word: u32, none: T) -> T {
    values.get(word as usize % values.len().max(1)).copied().unwrap_or(none)
}

#[cfg(test)]
mod tests {
    use std::{vec, vec::Vec};

    use super::*;
    use crate::kernel::{Scalar, check::loops::CASES};

    /// Numbers below a byte and above it, in both places of a pair.
    fn clipped(exact: &[i32]) -> [[u32; 2]; 2] {
        let mut seen = [[0; 2]; 2];
        for pair in exact.chunks(2) {
            for ([below, above], &number) in seen.iter_mut().zip(pair) {
                *below += u32::from(number < i8::MIN.into());
                *above += u32::from(number > i8::MAX.into());
            }
        }
        seen
    }

    #[test]
    fn codes_and_weights_are_clipped_at_both_ends_in_both_places() {
        let mut seen = [[[0; 2]; 2]; 2];
        let (mut underflowed, mut unmoved) = (0, 0);
        for number in 0..CASES {
            let case = Case::of_pairs(number, Round::Stochastic);
            let mut quantizer = case.descend.quantizer;
            let sums = &case.sums[case.slice.clone()];
            assert!(sums.len().is_multiple_of(2));
            assert!(sums.iter().all(|v| (-1 << 30..1 << 30).contains(v)));
            assert!(case.descend.update.lr.abs() <= STEEPEST);
            // Both before they are clipped.
            quantizer.format.bits = 31;
            let mut codes = vec![0; sums.len()];
            let (source, out) = (Source::I32(sums), MantissasMut::I32(&mut codes));
            underflowed += Scalar.quantize(&quantizer, source, case.first, out).underflowed;
            unmoved += codes.chunks(2).filter(|pair| *pair == [0, 0]).count();
            let mut weights: Vec<i32> =
                case.bytes[case.slice.clone()].iter().map(|&w| w.into()).collect();
            let (none, master) = (MantissasMut::I8(&mut []), MantissasMut::I32(&mut weights));
            Scalar.descend(&case.descend, sums, case.first, &[], none, master);
            for (seen, exact) in seen.iter_mut().zip([codes, weights]) {
                for (seen, now) in
                    seen.as_flattened_mut().iter_mut().zip(clipped(&exact).as_flattened())
                {
                    *seen += now;
                }
            }
        }
        assert!(seen.as_flattened().as_flattened().iter().all(|&times| times > 1_000), "{seen:?}");
        assert!(underflowed > 1_000 && unmoved > 1_000, "{underflowed} {unmoved}");
    }

    #[test]
    fn what_is_written_outside_is_told_from_what_is_wrong() {
        let case = Case::of_pairs(7, Round::Rnd);
        let right = case.quantized(&Scalar);
        let spoiled = |i: usize| {
            let (mut bytes, counts) = right;
            bytes[i] ^= 1;
            case.compare(&(bytes, counts), &right)
        };
        assert_eq!(case.compare(&right, &right), Ok(()));
        assert_eq!(spoiled(case.slice.start), Err(Wrong::Numbers));
        assert_eq!(spoiled(case.slice.end - 1), Err(Wrong::Numbers));
        assert_eq!(spoiled(case.slice.end), Err(Wrong::Beyond));
        assert_eq!(spoiled(case.slice.start - 1), Err(Wrong::Beyond));
    }
}
