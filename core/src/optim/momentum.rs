//! Momentum: a velocity in narrow integers.

use crate::{
    quant::{Format, Overflow, Round, requantize},
    rng::Key,
    tensor::Mantissa,
};

/// One step of `v = momentum * v + g`, PyTorch's form (no dampening).
#[derive(Clone, Copy, Debug)]
pub struct Momentum {
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

/// Fraction bits that the sum keeps below the new velocity's unit.
const GUARD: i32 = 15;

impl Momentum {
    /// Updates `velocity` and leaves its mantissas in `grad` too. Returns the largest magnitude
    /// in units of the new exponent, before saturation.
    #[inline(always)]
    pub fn run<T: Mantissa>(&self, grad: &mut [i32], first: u32, velocity: &mut [T]) -> u32 {
        let bits = T::WIDTH.bits().min(31);
        let format = Format { bits, round: self.round, overflow: Overflow::SatSym };
        let unit = i32::from(self.new_exponent) - GUARD;
        let old_left = i32::from(self.old_exponent) - 15 - unit;
        let grad_left = i32::from(self.grad_exponent) - unit;
        let mut peak = 0;
        for (i, (v, g)) in velocity.iter_mut().zip(grad.iter_mut()).enumerate() {
            let old = align(i64::from(self.factor) * i64::from(v.widen()), old_left);
            let sum = old + align(i64::from(*g), grad_left);
            let magnitude = sum.unsigned_abs() >> GUARD;
            peak = peak.max(magnitude.min(u64::from(u32::MAX)) as u32);
            let random = self.key.half(first.wrapping_add(i as u32));
            let code = requantize(sum, GUARD, format, random).value;
            *v = T::from_code(code);
            *g = code;
        }
        peak
    }
}

/// `value * 2^left` without leaving 62 bits: far below the unit it becomes its sign, far above
/// it saturates.
#[inline(always)]
const fn align(value: i64, left: i32) -> i64 {
    const LIMIT: i64 = 1 << 61;
    if left <= 0 {
        return value >> if left < -63 { 63 } else { left.unsigned_abs() };
    }
    let left = if left > 61 { 61 } else { left as u32 };
    let most = LIMIT >> left;
    if value > most {
        LIMIT
    } else if value < -most {
        -LIMIT
    } else {
        value << left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn velocity_follows_the_formula_across_exponents() {
        let step = Momentum {
            factor: 29_491, // 0.9
            old_exponent: -10,
            grad_exponent: -6,
            new_exponent: -8,
            round: Round::RndConv,
            key: Key::new(0),
        };
        let mut velocity = [1000i16, -400, 0, 32767];
        let mut grad = [5, -3, 7, 127];
        let expected: std::vec::Vec<i32> = velocity
            .iter()
            .zip(&grad)
            .map(|(&v, &g)| (0.9 * f64::from(v) / 4.0 + f64::from(g) * 4.0).round() as i32)
            .collect();
        let peak = step.run(&mut grad, 0, &mut velocity);
        for ((&v, &g), &e) in velocity.iter().zip(&grad).zip(&expected) {
            assert_eq!((i32::from(v), g), (e, e));
        }
        assert_eq!(peak, 7880);
    }

    #[test]
    fn a_velocity_that_outgrows_its_bits_saturates_and_tells() {
        let step = Momentum {
            factor: 0,
            old_exponent: 0,
            grad_exponent: 0,
            new_exponent: 0,
            round: Round::Rnd,
            key: Key::new(0),
        };
        let (mut velocity, mut grad) = ([0i8; 2], [1000, -1000]);
        assert_eq!(step.run(&mut grad, 0, &mut velocity), 1000);
        assert_eq!(velocity, [127, -127]);
        let far = Momentum { grad_exponent: 400, ..step };
        assert_eq!(far.run(&mut [1, 0], 0, &mut velocity), u32::MAX);
        assert_eq!(velocity, [127, 0]);
    }
}
