//! Stochastic gradient descent on integer master weights.

use super::descend::Build;
use crate::{
    quant::{Format, Overflow, Quantizer, Round, jam, peak, requantize},
    rng::Key,
    tensor::{Mantissa, MantissasMut, Width, for_width},
};

/// One update of a parameter tensor: `w -= round(lr * g)`, and `w -= round(decay * w)` where
/// weight decay is on. Each term is rounded on its own, to units of the master weights.
#[derive(Clone, Copy, Debug)]
pub struct Update {
    /// Mantissa of the learning rate, below 2^15.
    pub lr: i32,
    /// Exponent of the master weights minus that of `lr * g`.
    pub shift: i32,
    /// Mantissa of `lr * weight_decay`, below 2^15; zero turns it off.
    pub decay: i32,
    /// Bits that `decay * w` has below the master weights' unit.
    pub decay_shift: i32,
    /// How both terms are rounded.
    pub round: Round,
    /// Random numbers of this tensor in this step.
    pub key: Key,
}

/// Gradients narrower than this many bits multiply with `lr` in 32 bits.
const NARROW: u32 = 1 << 16;

impl Update {
    /// Moves `master`, whose first element is element `first` of the tensor, against `grad`, of
    /// which nothing is left. Weights saturate at the ends of their storage. `PLAIN` is without
    /// decay, for codes from a point.
    #[inline(always)]
    pub(super) fn run<B: Build, const PLAIN: bool>(
        &self,
        grad: &mut [i32],
        first: u32,
        mut master: MantissasMut<'_>,
    ) {
        let quantizer = self.quantizer();
        // A point makes codes of at most 16 bits.
        if PLAIN || peak(grad) < NARROW {
            grad.iter_mut().for_each(|g| *g *= self.lr);
            B::quantize(&quantizer, grad, first);
        } else {
            self.wide_steps(&quantizer, grad, first);
        }
        for_width!(MantissasMut, &mut master, m => subtract(m, grad));
        if !PLAIN && self.decay != 0 {
            let guard = guard(master.as_ref().width());
            let shift = self.decay_shift.saturating_sub(guard as i32);
            for_width!(MantissasMut, &mut master, m => decayed(self.decay, m, grad));
            B::quantize(&Quantizer { shift, key: self.key.child(1), ..quantizer }, grad, first);
            for_width!(MantissasMut, &mut master, m => subtract(m, grad));
        }
    }

    /// What makes steps of gradients times the rate.
    pub(super) const fn quantizer(&self) -> Quantizer {
        let format = Format { bits: 31, round: self.round, overflow: Overflow::Sat };
        Quantizer { shift: self.shift, format, key: self.key, peak: u32::MAX }
    }

    /// Steps of a rare width: the definition itself.
    #[inline(never)]
    fn wide_steps(&self, quantizer: &Quantizer, grad: &mut [i32], first: u32) {
        for (g, i) in grad.iter_mut().zip(0u32..) {
            let product = i64::from(self.lr) * i64::from(*g);
            let random = self.key.half(first.wrapping_add(i));
            *g = requantize(product, quantizer.shift, quantizer.format, random).value;
        }
    }
}

/// 15 bits times a 32-bit weight do not fit; the sticky bit keeps the rounding exact.
const fn guard(storage: Width) -> u32 {
    match storage {
        Width::I32 => 16,
        _ => 0,
    }
}

#[inline(always)]
fn decayed<T: Mantissa>(decay: i32, master: &[T], steps: &mut [i32]) {
    for (step, w) in steps.iter_mut().zip(master) {
        *step = match T::WIDTH {
            Width::I32 => jam(i64::from(decay) * i64::from(w.widen()), guard(T::WIDTH)) as i32,
            _ => decay * w.widen(),
        };
    }
}

#[inline(always)]
fn subtract<T: Mantissa>(master: &mut [T], steps: &[i32]) {
    let limit = ((1i64 << (T::WIDTH.bits() - 1)) - 1) as i32;
    for (w, &step) in master.iter_mut().zip(steps) {
        let moved = match T::WIDTH {
            Width::I32 => w.widen().saturating_sub(step),
            // Neither a narrow weight nor a code of 31 bits is large enough to overflow.
            _ => w.widen().wrapping_sub(step),
        };
        *w = T::from_code(moved.max(-limit - 1).min(limit));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optim::descend::Compact;

    fn run(update: &Update, grad: &[i32], first: u32, master: MantissasMut<'_>) {
        update.run::<Compact, false>(&mut grad.to_vec(), first, master);
    }

    fn update(shift: i32, round: Round) -> Update {
        Update { lr: 3, shift, decay: 0, decay_shift: 0, round, key: Key::new(1) }
    }

    #[test]
    fn weights_move_against_the_gradient_and_saturate() {
        let mut master = [0i8, 0, 127, -128, 100];
        let grad = [2, -3, -60, 60, -600];
        run(&update(1, Round::Rnd), &grad, 0, MantissasMut::I8(&mut master));
        // 3 * g / 2, to nearest, ties up: 3, -4, -90, 90, -900.
        assert_eq!(master, [-3, 4, 127, -128, 127]);
    }

    #[test]
    fn stochastic_updates_below_one_unit_still_move_the_mean() {
        let mut master = [0i16; 8192];
        let update = update(10, Round::Stochastic);
        run(&update, &[50; 8192], 0, MantissasMut::I16(&mut master));
        let mean = master.iter().map(|&w| f64::from(w)).sum::<f64>() / 8192.0;
        assert!((mean + 150.0 / 1024.0).abs() < 0.02, "{mean}");
    }

    #[test]
    fn gradients_of_any_width_move_weights_by_their_exact_product() {
        let lr = (1 << 15) - 1;
        let wide = [1 << 16, 1 << 20, 0x00ab_cdef, i32::MAX, i32::MIN, 77, -(1 << 16) - 1];
        for (shift, round) in [(40, Round::RndConv), (20, Round::Rnd), (3, Round::Stochastic)] {
            let update = Update { lr, ..update(shift, round) };
            let format = Format { bits: 31, round, overflow: Overflow::Sat };
            let mut master = [0i32; 7];
            run(&update, &wide, 5, MantissasMut::I32(&mut master));
            for ((&g, &w), i) in wide.iter().zip(&master).zip(5u32..) {
                let product = i64::from(lr) * i64::from(g);
                let code = requantize(product, shift, format, update.key.half(i)).value;
                assert_eq!(w, -code, "{g} >> {shift}");
            }
        }
    }

    #[test]
    fn a_slice_in_two_parts_equals_the_whole() {
        let grad: std::vec::Vec<i32> = (0..300).map(|i| i * 77 % 255 - 127).collect();
        for round in [Round::Stochastic, Round::RndConv] {
            let update = Update { decay: 20_000, decay_shift: 20, ..update(6, round) };
            let mut whole = [55i32; 300];
            run(&update, &grad, 0, MantissasMut::I32(&mut whole));
            let mut parts = [55i32; 300];
            let (a, b) = parts.split_at_mut(133);
            run(&update, &grad[..133], 0, MantissasMut::I32(a));
            run(&update, &grad[133..], 133, MantissasMut::I32(b));
            assert_eq!(whole, parts);
        }
    }

    #[test]
    fn decay_pulls_every_storage_width_to_zero_alike() {
        // decay = 2^14 * 2^-20 = 1/64.
        let update = Update { decay: 1 << 14, decay_shift: 20, ..update(0, Round::RndConv) };
        let (mut a, mut b, mut c) = ([64i8], [6400i16], [640_000_000i32]);
        run(&update, &[0], 0, MantissasMut::I8(&mut a));
        run(&update, &[0], 0, MantissasMut::I16(&mut b));
        run(&update, &[0], 0, MantissasMut::I32(&mut c));
        assert_eq!((a, b, c), ([63], [6300], [630_000_000]));
    }
}
