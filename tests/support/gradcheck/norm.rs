//! Normalised channels: statistics, outputs and gradients by the formulas of Ioffe and Szegedy.
//!
//! Every factor is rounded to whole units of sums, so it may be off by half a unit for every unit of what
//! it multiplies. What it was made from has 32 bits and an error of a few units of 2^-32 of a code: that
//! is the rest of the bounds.

use fixgrad::graph::BatchNorm;

use super::{Quantised, Step, forward::Layer};
use crate::reference::{Expected, values};

/// What the numbers of a channel are normalised by, in codes.
#[derive(Clone)]
pub(super) struct Channel {
    mean: f64,
    inverse: f64,
    /// How far the inverse deviation may be off, as a part of it.
    off: f64,
    /// The numbers themselves, in codes.
    codes: Vec<f64>,
}

/// A unit of means and variances.
const UNIT: f64 = 1.0 / 4_294_967_296.0;
/// What is lost in a few roundings to 32 bits.
const LOST: f64 = 1.0 / 67_108_864.0;

impl Channel {
    fn normal(&self) -> impl Iterator<Item = f64> {
        self.codes.iter().map(|code| (code - self.mean) * self.inverse)
    }
}

fn mean(numbers: impl Iterator<Item = f64>, count: usize) -> f64 {
    numbers.sum::<f64>() / count as f64
}

impl Step<'_> {
    fn unit_below(&self, i: usize) -> f64 {
        self.unit_of_outputs(self.inputs(i)[0])
    }

    /// Statistics of all channels, and a look at the running ones.
    pub(super) fn channels_of(&self, i: usize, norm: BatchNorm, below: &[f64]) -> Vec<Channel> {
        let channels = self.before.running[i][0].len();
        let unit = self.unit_below(i);
        let eps = f64::from(-i16::from(norm.eps)).exp2() / (unit * unit);
        let of = |c: usize| {
            let codes: Vec<f64> =
                below.iter().skip(c).step_by(channels).map(|value| value / unit).collect();
            let count = codes.len();
            let [before, after] = [&self.before, &self.after]
                .map(|stored| [0, 1].map(|which| stored.running[i][which][c] as f64 * UNIT));
            if norm.frozen {
                assert_eq!(before, after, "running statistics of layer {i}");
                let [mean, variance] = [before[0] / unit, before[1] / (unit * unit)];
                return Channel {
                    mean,
                    inverse: (variance + eps).sqrt().recip(),
                    off: LOST,
                    codes,
                };
            }
            self.coverage.note_if(count == 1, "a single number normalised");
            let mean_of = mean(codes.iter().copied(), count);
            let variance = mean(codes.iter().map(|code| (code - mean_of).powi(2)), count);
            let correction = if count > 1 { count as f64 / (count as f64 - 1.0) } else { 1.0 };
            let new = [mean_of * unit, variance * correction * unit * unit];
            let share = f64::from(-i16::from(norm.momentum)).exp2();
            let bits = [unit, unit * unit];
            for which in [0, 1] {
                let most = 1.0 / UNIT / 2.0;
                let expected =
                    before[which] + share * (new[which].clamp(-most, most) - before[which]);
                let error = (after[which] - expected).abs();
                let bound = 2.0 * UNIT
                    + 8.0 * UNIT * bits[which]
                    + (expected.abs() + before[which].abs()) * 1e-12;
                assert!(
                    error <= bound,
                    "running {which} of layer {i}: {after:?} and not {expected}"
                );
            }
            let square = (variance + eps).max(UNIT);
            self.coverage.note_if(variance > eps, "a variance above its epsilon");
            let off = LOST + 4.0 * UNIT / square;
            Channel { mean: mean_of, inverse: square.sqrt().recip(), off, codes }
        };
        (0..channels).map(of).collect()
    }

    /// Outputs of a layer that normalises.
    pub(super) fn normalised(
        below: &[f64],
        channels: &[Channel],
        [weight, bias]: &[Quantised; 2],
    ) -> Vec<Expected> {
        let (weights, biases) = (values(&weight.codes), values(&bias.codes));
        let per_channel =
            channels.iter().zip(weights.iter().zip(&biases)).map(|(channel, (w, b))| {
                let normal = channel.normal().zip(&channel.codes);
                let of = move |(normal, code): (f64, &f64)| Expected {
                    value: w * normal + b,
                    units: 0.5 * (code.abs() + channel.mean.abs()) + 2.0,
                    absolute: (w * normal).abs() * channel.off
                        + (w * channel.inverse).abs() * (channel.mean.abs() * LOST + 2.0 * UNIT)
                        + b.abs() * 1e-12,
                };
                normal.map(of).collect::<Vec<_>>()
            });
        let per_channel: Vec<_> = per_channel.collect();
        let width = channels.len().max(1);
        (0..below.len()).map(|n| per_channel[n % width][n / width]).collect()
    }

    /// The gradient of the weight: the sum of gradients times normalised numbers.
    pub(super) fn norm_weight_grad(&self, grad: &[Expected], layer: &Layer) -> Vec<Expected> {
        let of = |(c, channel): (usize, &Channel)| {
            let column = || grad.iter().skip(c).step_by(layer.channels.len()).map(|g| g.value);
            let products = || column().zip(channel.normal()).map(|(g, x)| g * x);
            let sizes: f64 = products().map(f64::abs).sum();
            let shift = column().map(f64::abs).sum::<f64>() * channel.inverse;
            let shift = shift * (2.0 * UNIT + channel.mean.abs() * LOST);
            Expected { value: products().sum(), units: 1.0, absolute: sizes * channel.off + shift }
        };
        layer.channels.iter().enumerate().map(of).collect()
    }

    /// What a layer that normalises sends down.
    pub(super) fn through_norm(
        &self,
        i: usize,
        norm: BatchNorm,
        grad: &[Expected],
        layer: &Layer,
        weight: &Quantised,
    ) -> Vec<Expected> {
        let width = layer.channels.len();
        let (unit, grad_unit) = (self.unit_below(i), self.unit_of_grad(i));
        let bits = self.config(i).activation_grad.map_or(16, |quant| quant.bits);
        // The unit of these sums: three terms stay below 2^28 of them.
        let mut largest: f64 = 0.0;
        let mut per_channel = Vec::new();
        for (c, (channel, w)) in layer.channels.iter().zip(values(&weight.codes)).enumerate() {
            let column: Vec<f64> = grad.iter().skip(c).step_by(width).map(|g| g.value).collect();
            let count = column.len();
            let factor = w * channel.inverse / unit;
            let kept = f64::from(u8::from(!norm.frozen));
            let even = kept * mean(column.iter().copied(), count);
            let products = || column.iter().zip(channel.normal()).map(|(g, x)| g * x);
            let sloping = kept * mean(products(), count);
            let sizes = mean(products().map(f64::abs), count);
            let slope = factor * channel.inverse * sloping;
            let most = f64::from(bits - 1).exp2() * grad_unit;
            let input_bits = f64::from(self.plans[i].way.input_bits);
            largest = largest.max(factor.abs() * most).max(slope.abs() * input_bits.exp2());
            for (g, x) in column.iter().zip(channel.normal()) {
                let off = g.abs() * channel.off
                    + even.abs() * channel.off
                    + grad_unit / 32_768.0
                    + kept * (x.abs() + channel.inverse * 2.0 * UNIT) * sizes * 4.0 * channel.off
                    + kept
                        * sloping.abs()
                        * channel.inverse
                        * (2.0 * UNIT + channel.mean.abs() * LOST)
                    + kept
                        * x.abs()
                        * channel.inverse
                        * 2.0
                        * UNIT
                        * mean(column.iter().map(|g| g.abs()), count);
                per_channel.push(Expected {
                    value: factor * (g - even - x * sloping),
                    units: 0.0,
                    absolute: factor.abs() * off,
                });
            }
        }
        let sum_unit = (largest.max(f64::MIN_POSITIVE).log2().ceil() + 1.0 - 28.0).exp2();
        let half = f64::from(bits - 1).exp2() + f64::from(self.plans[i].way.input_bits).exp2();
        let rounded = sum_unit * (half + 4.0);
        let count = grad.len() / width.max(1);
        (0..grad.len())
            .map(|n| {
                let expected = per_channel[n % width * count + n / width];
                Expected { absolute: expected.absolute + rounded, ..expected }
            })
            .collect()
    }
}
