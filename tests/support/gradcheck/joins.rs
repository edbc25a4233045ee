//! Layers that read two outputs, and outputs that several layers read.
//!
//! Numbers of several units meet in the finest of them, exactly, or in the finest that sums of 30 bits
//! allow: then those that are no whole numbers of that unit end within one of it.

use fixgrad::{
    graph::{Kind, Split},
    trainer::Tensor,
};

use super::{Step, forward::Layer};
use crate::{recorder::Number, reference::Expected};

impl Step<'_> {
    /// The layers that a layer reads, twice the same where it is one.
    pub(super) fn inputs(&self, i: usize) -> [usize; 2] {
        self.case.graph.view().layers()[i].inputs()
    }

    fn channels(&self, i: usize) -> usize {
        self.case.graph.view().layers()[i].shape.0[0].into()
    }

    /// Two outputs added, or pixel by pixel side by side.
    pub(super) fn joined(&self, i: usize, [a, b]: [&[f64]; 2]) -> Vec<f64> {
        if matches!(self.case.graph.view().layers()[i].kind, Kind::Add(_)) {
            return a.iter().zip(b).map(|(a, b)| a + b).collect();
        }
        let [first, second] = self.inputs(i).map(|input| self.channels(input));
        let pixels = a.chunks_exact(first).zip(b.chunks_exact(second));
        pixels.flat_map(|(a, b)| a.iter().chain(b).copied()).collect()
    }

    /// What may be lost where two outputs meet.
    pub(super) fn allow_for_units(&self, i: usize, expected: &mut [Expected], parts: [&Layer; 2]) {
        let unit = self.unit_of_sums(i, Tensor::Activation);
        let [a, b] =
            parts.map(|part| part.outputs.iter().map(|value| loss(*value, unit)).collect());
        let lost = self.joined(i, [a, b].each_ref().map(|lost: &Vec<f64>| &lost[..]));
        for (expected, lost) in expected.iter_mut().zip(lost) {
            self.coverage.note_if(lost > 0.0, "outputs too far apart for one unit");
            expected.units += lost;
        }
    }

    /// Some of the channels of every pixel.
    pub(super) fn split(&self, i: usize, split: Split, below: &[f64]) -> Vec<f64> {
        let all = self.channels(self.inputs(i)[0]);
        let (first, channels) = (usize::from(split.first), usize::from(split.channels));
        below.chunks_exact(all).flat_map(|pixel| pixel[first..first + channels].to_vec()).collect()
    }

    /// What a layer that joins or splits sends to the layers that it reads; none for other layers.
    pub(super) fn shares(&self, i: usize, grad: &[Expected]) -> Option<[Vec<Expected>; 2]> {
        let mine = self.channels(i);
        let [all, _] = self.inputs(i).map(|input| self.channels(input));
        match self.case.graph.view().layers()[i].kind {
            Kind::Add(_) => Some([grad.to_vec(), grad.to_vec()]),
            Kind::Concat(_) => {
                let pixels = grad.chunks_exact(mine).map(|pixel| pixel.split_at(all));
                let (first, second): (Vec<_>, Vec<_>) = pixels.unzip();
                Some([first.concat(), second.concat()])
            }
            Kind::Split(Split { first, channels }) => {
                let (first, channels) = (usize::from(first), usize::from(channels));
                let pixels = grad.chunks_exact(channels).flat_map(|pixel| {
                    let mut whole = vec![Expected::exactly(0.0); all];
                    whole[first..first + channels].copy_from_slice(pixel);
                    whole
                });
                Some([pixels.collect(), Vec::new()])
            }
            _ => None,
        }
    }

    /// The sum of what the readers of a layer sent it.
    pub(super) fn arrived(&self, i: usize, parts: &[Vec<Expected>]) -> Vec<Expected> {
        let [first, more @ ..] = parts else { return Vec::new() };
        if more.is_empty() {
            return first.clone();
        }
        self.coverage.note("an output with several readers");
        // Layers without a point of their own hand on what comes.
        let mut at = i;
        while self.config(at).activation_grad.is_none() {
            at = self.inputs(at)[0];
        }
        let unit = self.unit_of_sums(at, Tensor::ActivationGrad);
        let mut sums = vec![Expected::exactly(0.0); first.len()];
        for part in parts {
            for (sum, part) in sums.iter_mut().zip(part) {
                let lost = loss(part.value, unit);
                self.coverage.note_if(lost > 0.0, "gradients too far apart for one unit");
                sum.value += part.value;
                // What is not known to the bit is perhaps no whole number of units.
                sum.units += lost.max(f64::from(u8::from(part.absolute > 0.0)));
                sum.absolute += part.absolute;
            }
        }
        sums
    }

    pub(super) fn unit_of_sums(&self, i: usize, tensor: Tensor) -> f64 {
        self.recorded(i, tensor, false).last().map_or(1.0, |sum: &Number| sum.unit())
    }
}

/// Units that are lost at most when a value becomes a whole number of them.
fn loss(value: f64, unit: f64) -> f64 {
    f64::from(u8::from((value / unit).fract() != 0.0))
}
