//! Pools. A mean is a sum times a factor, on a finer grid: `1 / n` is a shift where `n` is a power of
//! two, and else the nearest number of as many bits as 30 bits of sums leave, at most 15. So it is
//! exact, or within a part in `2^bits` of the true mean.

use fixgrad::quant::Quant;

use super::{Step, forward::Layer};
use crate::reference::Expected;

impl Step<'_> {
    /// The input that wins each window: the first of the largest, in all samples.
    pub(super) fn winners(&self, i: usize, below: &[f64]) -> Vec<usize> {
        let (outputs, inputs) = self.shape(i);
        let mut winners = Vec::new();
        for (sample, x) in below.chunks_exact(inputs).enumerate() {
            let mut best: Vec<Option<usize>> = vec![None; outputs];
            for term in &self.terms[i] {
                let best = &mut best[term.output];
                let beaten = best.is_none_or(|best| x[term.input] > x[best]);
                self.coverage.note_if(
                    best.is_some_and(|best| x[term.input] == x[best]),
                    "equal numbers in a max pool",
                );
                if beaten {
                    *best = Some(term.input);
                }
            }
            let won = best.into_iter().map(|best| best.expect("a pixel under every window"));
            winners.extend(won.map(|input| sample * inputs + input));
        }
        winners
    }

    /// The gradient of every output goes to the input that it is.
    pub(super) fn to_winners(&self, i: usize, grad: &[Expected], layer: &Layer) -> Vec<Expected> {
        let (outputs, inputs) = self.shape(i);
        let mut below = vec![Expected::exactly(0.0); grad.len() / outputs * inputs];
        for (&winner, g) in layer.winners.iter().zip(grad) {
            self.coverage.note_if(below[winner].value != 0.0, "a winner of two windows");
            below[winner].value += g.value;
        }
        below
    }

    /// Means of windows.
    pub(super) fn means(&self, i: usize, below: &[f64]) -> Vec<f64> {
        let (outputs, inputs) = self.shape(i);
        let factor = self.factor(i, self.bits_below(i), self.facts(i).terms.forward);
        let mean = |x: &[f64]| {
            let mut row = vec![0.0; outputs];
            self.terms[i].iter().for_each(|term| row[term.output] += x[term.input]);
            row.iter_mut().for_each(|sum| *sum *= factor);
            row
        };
        below.chunks_exact(inputs).flat_map(mean).collect()
    }

    /// The gradient of every mean goes to all of its window, divided as the mean is.
    pub(super) fn spread(&self, i: usize, grad: &[Expected]) -> Vec<Expected> {
        let (outputs, inputs) = self.shape(i);
        let bits = self.config(i).activation_grad.map_or(8, |quant: Quant| quant.bits);
        let factor = self.factor(i, bits, self.facts(i).terms.backward);
        let spread = |g: &[Expected]| {
            let mut row = vec![0.0; inputs];
            self.terms[i].iter().for_each(|term| row[term.input] += g[term.output].value);
            row.into_iter().map(|sum| Expected::exactly(sum * factor)).collect::<Vec<_>>()
        };
        grad.chunks_exact(outputs).flat_map(spread).collect()
    }

    /// Bits of a layer's input codes: of the first point below, eight where the samples are codes.
    fn bits_below(&self, i: usize) -> u8 {
        let below = self.inputs(i)[0];
        match self.config(below).activation {
            Some(point) => point.bits(),
            None if below == 0 => 8,
            None => self.bits_below(below),
        }
    }

    /// What sums of `terms` codes of `bits` bits are multiplied by.
    fn factor(&self, i: usize, bits: u8, terms: usize) -> f64 {
        let count = self.window(i) as f64;
        let log = count.log2().ceil();
        let room = (30.0 - f64::from(bits - 1) - (terms as f64).log2().ceil()).min(15.0);
        let unit = if count.log2() == log { (-log).exp2() } else { (1.0 - log - room).exp2() };
        let factor = (1.0 / count / unit).round() * unit;
        let error = (factor * count - 1.0).abs();
        assert!(error <= (-room).exp2(), "layer {i}: {count} * {factor} with {room} bits");
        self.coverage.note_if(error > 0.0, "means that are no shift");
        factor
    }
}
