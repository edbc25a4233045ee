//! Momentum: a velocity in narrow integers.

use super::Rule;
use crate::{
    quant::{Overflow, Quantizer, Round, round::Carry},
    rng::Key,
    tensor::{Mantissa, MantissasMut, Width},
};

/// One step of `v = momentum * v + g`, PyTorch's form (no dampening), or by Lion of the mean
/// `v = momentum * v + (1 - momentum) * g`.
#[derive(Clone, Copy, Debug)]
pub struct Momentum {
    /// What moves the weights.
    pub rule: Rule,
    /// Momentum in units of 2^-15.
    pub factor: i32,
    /// Exponent of the stored velocity.
    pub old_exponent: i16,
    /// Exponent of the gradient.
    pub grad_exponent: i16,
    /// Exponent of the new velocity.
    pub new_exponent: i16,
    /// How the sum is rounded.
    pub round: Round,
    /// Random numbers of this tensor in this step.
    pub key: Key,
}

/// One in units of 2^-15.
const ONE: i32 = 1 << 15;

/// Fraction bits that the sum keeps below the new velocity's unit.
const GUARD: u32 = 15;

/// Bits of a stored velocity. Sums end at 2^30, so 32-bit storage holds 31.
pub(crate) const fn velocity_bits(storage: Width) -> u8 {
    match storage {
        Width::I32 => 31,
        narrow => narrow.bits(),
    }
}

/// The largest mantissa of a stored velocity; the smallest is its negative.
const fn limit(storage: Width) -> i64 {
    Overflow::SatSym.limits(velocity_bits(storage)).1 as i64
}

/// Elements that are widened at a time in [`Momentum::run_compact`].
const PIECE: usize = 32;

impl Momentum {
    /// The exponent of the steps.
    pub(crate) const fn step_exponent(&self) -> i16 {
        match self.rule {
            Rule::Velocity | Rule::Nesterov => self.new_exponent,
            Rule::Lion { .. } => 0,
        }
    }

    /// The sign of `beta * v + (1 - beta) * g`: both are brought to the finer of their units, and
    /// what is then too large for that rules.
    #[inline(always)]
    pub(super) fn direction(&self, beta: i32, v: i32, g: i32) -> i32 {
        let (old, grad) = (i32::from(self.old_exponent), i32::from(self.grad_exponent));
        let unit = old.min(grad);
        let v = Shift::new(old - unit).of(i64::from(beta) * i64::from(v));
        let g = Shift::new(grad - unit).of(i64::from(ONE - beta) * i64::from(g));
        (v + g).signum() as i32
    }

    /// Updates `velocity` and leaves its mantissas in `grad` too. Returns the largest magnitude
    /// in units of the new exponent, before saturation. `MEAN`: the velocity is that of Lion.
    #[inline(always)]
    pub(super) fn run<T: Mantissa, const MEAN: bool>(
        &self,
        grad: &mut [i32],
        first: u32,
        velocity: &mut [T],
    ) -> u32 {
        let limit = limit(T::WIDTH);
        let mut peak = 0;
        let mut random = [0u16; Quantizer::CHUNK];
        let mut at = first;
        for (v, g) in velocity.chunks_mut(Quantizer::CHUNK).zip(grad.chunks_mut(Quantizer::CHUNK)) {
            let chunk = match self.round.carry(GUARD) {
                Carry::Bias(bias) => self.chunk::<T, MEAN>(Carry::Bias(bias), limit, g, v, &random),
                Carry::Pseudo => self.chunk::<T, MEAN>(Carry::Pseudo, limit, g, v, &random),
                Carry::Random => {
                    self.key.halves(at, &mut random);
                    self.chunk::<T, MEAN>(Carry::Random, limit, g, v, &random)
                }
            };
            peak = peak.max(chunk);
            at = at.wrapping_add(Quantizer::CHUNK as u32);
        }
        peak.min(u64::from(u32::MAX)) as u32
    }

    /// As [`run`](Self::run), compiled once for all storages.
    #[inline(never)]
    pub(super) fn run_compact<const MEAN: bool>(
        &self,
        grad: &mut [i32],
        first: u32,
        mut velocity: MantissasMut<'_>,
    ) -> u32 {
        let limit = limit(velocity.as_ref().width());
        let carry = self.round.carry(GUARD);
        let mut peak = 0;
        for (i, g) in grad.chunks_mut(PIECE).enumerate() {
            let (mut old, mut random) = ([0i32; PIECE], [0u16; PIECE]);
            let mut v = velocity.part(i * PIECE, g.len());
            v.as_ref().widen_into(&mut old);
            self.key.halves(first.wrapping_add((i * PIECE) as u32), &mut random);
            peak = peak.max(self.chunk::<i32, MEAN>(carry, limit, g, &mut old, &random));
            v.store(g);
        }
        peak.min(u64::from(u32::MAX)) as u32
    }

    /// As [`run`](Self::run), without branches where `carry` is a constant.
    #[inline(always)]
    fn chunk<T: Mantissa, const MEAN: bool>(
        &self,
        carry: Carry,
        limit: i64,
        grad: &mut [i32],
        velocity: &mut [T],
        random: &[u16],
    ) -> u64 {
        let unit = i32::from(self.new_exponent) - GUARD as i32;
        let old_unit = Shift::new(i32::from(self.old_exponent) - 15 - unit);
        let (share, up) = if MEAN { (ONE - self.factor, 15) } else { (1, 0) };
        let grad_unit = Shift::new(i32::from(self.grad_exponent) - up - unit);
        let mut peak = 0;
        for ((v, g), &random) in velocity.iter_mut().zip(grad).zip(random) {
            let old = old_unit.of(i64::from(self.factor) * i64::from(v.widen()));
            let grad = if MEAN { i64::from(share) * i64::from(*g) } else { i64::from(*g) };
            let sum = old + grad_unit.of(grad);
            peak = peak.max(sum.unsigned_abs() >> GUARD);
            let carry = carry.of(sum as u32, sum < 0, GUARD, random.into());
            let code = ((sum >> GUARD) + i64::from(carry)).max(-limit).min(limit) as i32;
            *v = T::from_code(code);
            *g = code;
        }
        peak
    }
}

/// Multiplies by a power of two without leaving 62 bits: far below the unit a value becomes its
/// sign, far above it saturates.
#[derive(Clone, Copy)]
struct Shift {
    right: u32,
    most: i64,
    left: u32,
}

impl Shift {
    const fn new(left: i32) -> Self {
        if left <= 0 {
            let right = if left < -63 { 63 } else { left.unsigned_abs() };
            Self { right, most: i64::MAX, left: 0 }
        } else {
            let left = if left > 61 { 61 } else { left as u32 };
            Self { right: 0, most: (1 << 61) >> left, left }
        }
    }

    #[inline(always)]
    fn of(self, value: i64) -> i64 {
        (value >> self.right).max(-self.most).min(self.most) << self.left
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;
    use crate::quant::{Format, exponent_of, requantize};

    #[test]
    fn velocity_follows_the_formula_across_exponents() {
        let step = Momentum {
            rule: Rule::Velocity,
            factor: 29_491, // 0.9
            old_exponent: -10,
            grad_exponent: -6,
            new_exponent: -8,
            round: Round::RndConv,
            key: Key::new(0),
        };
        let mut velocity = [1000i16, -400, 0, 32767];
        let mut grad = [5, -3, 7, 127];
        let expected: Vec<i32> = velocity
            .iter()
            .zip(&grad)
            .map(|(&v, &g)| (0.9 * f64::from(v) / 4.0 + f64::from(g) * 4.0).round() as i32)
            .collect();
        let peak = step.run::<_, false>(&mut grad, 0, &mut velocity);
        for ((&v, &g), &e) in velocity.iter().zip(&grad).zip(&expected) {
            assert_eq!((i32::from(v), g), (e, e));
        }
        assert_eq!(peak, 7880);
    }

    #[test]
    fn a_velocity_that_outgrows_its_bits_saturates_and_tells() {
        let step = Momentum {
            rule: Rule::Velocity,
            factor: 0,
            old_exponent: 0,
            grad_exponent: 0,
            new_exponent: 0,
            round: Round::Rnd,
            key: Key::new(0),
        };
        let (mut velocity, mut grad) = ([0i8; 2], [1000, -1000]);
        assert_eq!(step.run::<_, false>(&mut grad, 0, &mut velocity), 1000);
        assert_eq!(velocity, [127, -127]);
        let far = Momentum { grad_exponent: 400, ..step };
        assert_eq!(far.run::<_, false>(&mut [1, 0], 0, &mut velocity), u32::MAX);
        assert_eq!(velocity, [127, 0]);
    }

    #[test]
    fn a_velocity_fills_its_bound_in_every_storage() {
        fn largest<T: Mantissa>(velocity: T) -> f64 {
            let step = Momentum {
                rule: Rule::Velocity,
                factor: 0,
                old_exponent: 0,
                grad_exponent: 0,
                new_exponent: exponent_of(5, velocity_bits(T::WIDTH)),
                round: Round::Rnd,
                key: Key::new(0),
            };
            let mut velocity = [velocity];
            step.run::<_, false>(&mut [1000], 0, &mut velocity);
            f64::from(velocity[0].widen()) * f64::from(step.new_exponent).exp2()
        }
        for top in [largest(0i8), largest(0i16), largest(0i32)] {
            assert!((31.5..32.0).contains(&top), "{top}");
        }
    }

    /// `value * 2^left`, saturating at 2^61.
    fn scaled(value: i64, left: i32) -> i64 {
        if left <= 0 {
            value >> left.unsigned_abs().min(63)
        } else {
            (i128::from(value) << left.min(61)).clamp(-(1 << 61), 1 << 61) as i64
        }
    }

    proptest! {
        #[test]
        fn slices_equal_the_definition(
            (factor, round) in (0..1i32 << 15, 0..Round::ALL.len()),
            (old_exponent, grad_exponent, new_exponent) in (-60i16..60, -60i16..60, -60i16..60),
            values in proptest::collection::vec((any::<i16>(), any::<i32>()), 0..300),
            (seed, first) in (any::<u64>(), any::<u32>()),
        ) {
            let (round, key) = (Round::ALL[round], Key::new(seed));
            let rule = Rule::Velocity;
            let step =
                Momentum { rule, factor, old_exponent, grad_exponent, new_exponent, round, key };
            let (mut velocity, mut grad): (Vec<i16>, Vec<i32>) = values.iter().copied().unzip();
            let peak = step.run::<_, false>(&mut grad, first, &mut velocity);
            let format = Format { bits: 16, round, overflow: Overflow::SatSym };
            let up = |exponent: i16| i32::from(exponent) - i32::from(new_exponent);
            let mut expected_peak = 0;
            for (i, (&(v, g), &code)) in values.iter().zip(&velocity).enumerate() {
                let sum = scaled(i64::from(factor) * i64::from(v), up(old_exponent))
                    + scaled(g.into(), up(grad_exponent) + 15);
                let random = key.half(first.wrapping_add(i as u32));
                prop_assert_eq!(i32::from(code), requantize(sum, 15, format, random).value);
                prop_assert_eq!(grad[i], i32::from(code));
                expected_peak = expected_peak.max(sum.unsigned_abs() >> 15);
            }
            prop_assert_eq!(u64::from(peak), expected_peak.min(u32::MAX.into()));
        }
    }
}
