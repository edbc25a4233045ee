//! One cell of an [`Lstm`](super::Lstm) in one step, forward and back.
//!
//! Sums of gates and cell states have 16 bits in units of 2^-12, so they end at 8, as in the 16-bit
//! cells of TensorFlow Lite: beyond, a sigmoid is within 2^-11 of its end and a tanh within 2^-20.
//! Gates are found in units of 2^-15; bytes of them are kept for the way back.

use crate::{
    quant::jam,
    tables::{Below, logistic},
};

/// The exponent of cell states, and of what goes into gates.
pub(crate) const STATE_EXPONENT: i16 = -12;

/// One, in the units of gates and outputs.
const ONE: i32 = 1 << 15;

/// What a step makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stepped {
    /// Gates i, f, g, o for the way back: in units of 2^-8 without a sign, and of 2^-7 with one.
    pub(crate) gates: [i8; 4],
    pub(crate) state: i16,
    /// The hidden state in units of 2^-15.
    pub(crate) output: i32,
}

/// What is kept of a step, and the state before it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kept {
    pub(crate) gates: [i8; 4],
    pub(crate) state: i16,
    pub(crate) before: i16,
}

/// Gradients before a step, in the units of those behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Back {
    /// Of the sums of gates i, f, g, o.
    pub(crate) sums: [i32; 4],
    /// Of the state before.
    pub(crate) state: i32,
}

fn sigmoid(code: i32) -> i32 {
    logistic(Below::of(0, STATE_EXPONENT), code)
}

fn tanh(code: i32) -> i32 {
    2 * logistic(Below::of(0, STATE_EXPONENT + 1), code) - ONE
}

/// A step from the sums of gates i, f, g, o and the state before, all of 16 bits.
#[inline(always)]
pub(crate) fn step(sums: [i32; 4], before: i32) -> Stepped {
    let [i, f, g, o] = sums;
    let [i, f, g, o] = [sigmoid(i), sigmoid(f), tanh(g), sigmoid(o)];
    // Both terms in units of 2^-27: 2^30 and 2^27 of them at most.
    let sum = f * before + ((i * g) >> 3) + (1 << 14);
    let state = (sum >> 15).clamp(i16::MIN.into(), i16::MAX.into());
    let output = (o * tanh(state) + (1 << 14)) >> 15;
    let part = |gate: i32| (((gate + 64) >> 7).min(255) as u8).cast_signed();
    let signed = ((g + 128) >> 8).clamp(-128, 127) as i8;
    Stepped { gates: [part(i), part(f), signed, part(o)], state: state as i16, output }
}

/// Gradients of the state end here, in their units.
const MOST: i64 = 1 << 30;

impl Kept {
    /// Back from the gradient of the output and what the next step left of that of the state, both of
    /// at most `2^30`.
    #[inline(always)]
    pub(crate) fn back(self, grad: i32, state: i32) -> Back {
        let grad = i64::from(grad);
        let [i, f, g, o] = self.gates;
        let [i, f, o] = [i, f, o].map(|gate| i64::from(gate.cast_unsigned()));
        let (g, before) = (i64::from(g), i64::from(self.before));
        let curve = i64::from(tanh(self.state.into()));
        let steep = ((1 << 30) - curve * curve + (1 << 14)) >> 15;
        let state = i64::from(state) + ((grad * o * steep + (1 << 22)) >> 23);
        let state = state.clamp(-MOST, MOST);
        // In units of 2^-16.
        let slope = |gate: i64| gate * (256 - gate);
        let sums = [
            jam(state * g * slope(i), 7 + 16),
            jam(state * before * slope(f), 12 + 16).clamp(-MOST, MOST),
            jam(state * i * ((1 << 14) - g * g), 8 + 14),
            jam(grad * curve * slope(o), 15 + 16),
        ];
        let state = ((state * f + (1 << 7)) >> 8) as i32;
        Back { sums: sums.map(|sum| sum as i32), state }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const UNIT: f64 = 4096.0;

    fn logistic_of(x: f64) -> f64 {
        1.0 / (1.0 + (-x).exp())
    }

    /// State and output.
    fn exact([i, f, g, o]: [f64; 4], before: f64) -> [f64; 2] {
        let state = logistic_of(f) * before + logistic_of(i) * g.tanh();
        let state = state.clamp(-8.0, 32_767.0 / UNIT);
        [state, logistic_of(o) * state.tanh()]
    }

    #[test]
    fn a_cell_holds_what_it_is_told() {
        // Forget nothing, take nothing in, and hand out all.
        let kept = step([-32_768, 32_767, 0, 32_767], 8192);
        assert!((i32::from(kept.state) - 8192).abs() <= 3, "{kept:?}");
        assert_eq!((kept.gates[0].cast_unsigned(), kept.gates[1].cast_unsigned()), (0, 255));
        // Forget all, and take in one.
        let taken = step([32_767, -32_768, 32_767, 0], -32_768);
        assert!((i32::from(taken.state) - 4096).abs() <= 12, "{taken:?}");
        // What overflows stays at the end.
        assert_eq!(step([32_767; 4], 32_767).state, i16::MAX);
        assert_eq!(step([32_767, 32_767, -32_768, 0], -32_768).state, i16::MIN);
    }

    #[test]
    fn the_largest_numbers_fit() {
        for state in [i16::MIN, i16::MAX] {
            for gates in [[-1; 4], [-128; 4], [127; 4], [0; 4]] {
                for grad in [-1 << 30, 1 << 30] {
                    let kept = Kept { gates, state, before: state };
                    let back = kept.back(grad, grad);
                    assert!(back.sums.iter().all(|sum| sum.abs() <= 1 << 30), "{back:?}");
                    assert!(back.state.abs() <= 1 << 30, "{back:?}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn a_step_is_near_the_real_one(sums: [i16; 4], before: i16) {
            let found = step(sums.map(i32::from), before.into());
            let [state, output] = exact(sums.map(|z| f64::from(z) / UNIT), f64::from(before) / UNIT);
            // A gate is within 3 units of 2^-15, and a state of 8 is multiplied with one.
            prop_assert!((f64::from(found.state) / UNIT - state).abs() < 1.2e-3, "{found:?} {state}");
            prop_assert!((f64::from(found.output) / 32_768.0 - output).abs() < 1.5e-3, "{found:?} {output}");
        }

        #[test]
        fn gradients_are_those_of_the_step(
            sums in prop::array::uniform4(-12_000i32..12_000), before in -16_000i32..16_000,
            grad in -1_000_000i32..1_000_000, later in -1_000_000i32..1_000_000,
        ) {
            let found = step(sums, before);
            let kept = Kept { gates: found.gates, state: found.state, before: before as i16 };
            let back = kept.back(grad, later);
            let at = |inputs: [f64; 5]| {
                let [i, f, g, o, c] = inputs;
                let [state, output] = exact([i, f, g, o], c);
                f64::from(grad) * output + f64::from(later) * state
            };
            let here = [sums[0], sums[1], sums[2], sums[3], before].map(|z| f64::from(z) / UNIT);
            let found = back.sums.into_iter().chain([back.state]).map(f64::from);
            for (which, found) in found.enumerate() {
                let moved = |by: f64| {
                    let mut inputs = here;
                    inputs[which] += by;
                    at(inputs)
                };
                let slope = (moved(1e-4) - moved(-1e-4)) / 2e-4;
                // Bytes of gates, times a state of at most 5.
                let bound = 0.02 * (f64::from(grad).abs() + f64::from(later).abs()) + 3.0;
                prop_assert!((found - slope).abs() < bound, "{which}: {found} and not {slope}");
            }
        }
    }
}
