//! From sums to moved weights at once, where rounding is stochastic and there is neither momentum
//! nor decay.

use super::{Descend, Descent, Update};
use crate::{
    quant::{
        Counts, Quantizer, Round,
        compact::{Quick, QuickCarry, draw_alone, draws},
        loops::Loops,
    },
    rng::Key,
    tensor::{Mantissa, Width},
};

/// Elements whose codes lie on the stack at a time. An even number, because two neighbours share a
/// random number.
const PIECE: usize = 64;

impl Descend {
    /// All stages, from an even element on or for a single one. None where another way is needed.
    #[inline(always)]
    pub(super) fn quick<L: Loops, T: Mantissa>(
        &self,
        grad: &[i32],
        first: u32,
        master: &mut [T],
    ) -> Option<Descent> {
        let Update { lr, shift, round: Round::Stochastic, key, .. } = self.update else {
            return None;
        };
        let quantizer = self.quantizer;
        let quick = quantizer.quick(grad)?;
        if !matches!(quick.carry, QuickCarry::Random) {
            return None;
        }
        // Products of a code and the rate stay below 2^30.
        if !(1..=30).contains(&shift) || quantizer.format.bits > 8 {
            return None;
        }
        let step = Step { lr, shift: shift.unsigned_abs(), key };
        if T::WIDTH == Width::I8
            && quick.limits.are_a_byte()
            && let (sums, []) = grad.as_chunks::<2>()
            && let Ok(bytes) = bytemuck::try_cast_slice_mut::<T, i8>(master)
            && let weights = bytes.as_chunks_mut().0
            && let (keys, shifts) = ([quantizer.key, key], [quick.k, step.shift])
            && let Some(counts) = L::descend(keys, first >> 1, shifts, lr, sums, weights)
        {
            return Some(Descent { counts, velocity_peak: 0 });
        }
        let mut counts = Counts::default();
        for ((grad, master), piece) in grad.chunks(PIECE).zip(master.chunks_mut(PIECE)).zip(0..) {
            let first = first.wrapping_add(piece * PIECE as u32);
            counts += swiftly::<L, T>(&quantizer, quick, step, grad, first, master);
        }
        Some(Descent { counts, velocity_peak: 0 })
    }
}

/// How far a weight moves: the rate times the code, of which `shift` bits are dropped.
#[derive(Clone, Copy)]
struct Step {
    lr: i32,
    shift: u32,
    key: Key,
}

/// Quantises sums and moves weights against them, both with random numbers. Two loops, because one
/// would need more registers than small chips have.
#[inline(never)]
fn swiftly<L: Loops, T: Mantissa>(
    quantizer: &Quantizer,
    quick: Quick,
    step: Step,
    grad: &[i32],
    first: u32,
    master: &mut [T],
) -> Counts {
    let mut codes = [0; PIECE];
    let codes = codes.get_mut(..grad.len()).unwrap_or_default();
    let counts = quantizer.swiftly::<L>(quick, grad, first, codes);
    let limit = ((1i64 << (T::WIDTH.bits() - 1)) - 1) as i32;
    let moved = |w: T, code: i8, draw: i32| {
        let way = (step.lr * i32::from(code) + draw) >> step.shift;
        let moved = w.widen().wrapping_sub(way);
        T::from_code(moved.max(-limit - 1).min(limit))
    };
    let mut index = first >> 1;
    let (pairs, last) = codes.as_chunks::<2>();
    let (weights, last_weight) = master.as_chunks_mut::<2>();
    for (&[c0, c1], [w0, w1]) in pairs.iter().zip(weights) {
        // What is zero moves nothing.
        if c0 | c1 != 0 {
            let [low, high] = draws(step.key.word(index), step.shift);
            (*w0, *w1) = (moved(*w0, c0, low), moved(*w1, c1, high));
        }
        index = index.wrapping_add(1);
    }
    for (&code, w) in last.iter().zip(last_weight) {
        *w = moved(*w, code, draw_alone(step.key.word(index), step.shift, first));
    }
    counts
}
