//! Batch normalisation: from the sums of every channel to the factors of its pixels, forward and back.

use super::{
    engine::{At, Engine, Mode},
    point::{Sums, grid},
};
use crate::{
    graph::{Kind, NORM_WORDS, Region, Way, pick},
    kernel::Kernel,
    layer::{BLOCK, BatchNorm, Columns, Statistics, Tag},
    quant::{Scaled, jam},
    strategy::Strategy,
    tensor::{Mantissas, MantissasMut},
    uses::Uses,
};

/// The settings of a layer that normalises, where such layers are linked.
#[inline(always)]
pub(super) fn norm_of<U: Uses>(way: &Way) -> Option<BatchNorm> {
    match way.kind {
        Kind::BatchNorm(norm) if U::links(Tag::BatchNorm) => Some(norm),
        _ => None,
    }
}

/// Running statistics at the first step: a mean of zero, which all bytes zero are, and a variance of one.
pub(super) fn init_running(memory: &mut [u8], running: &Region) {
    if let [MantissasMut::I32(words)] = pick(memory, [running])
        && let Some(high) = words.chunks_exact_mut((words.len() / 4).max(1)).nth(3)
    {
        high.fill(1);
    }
}

/// What is known of every channel between the sums over its pixels and the end of its way back: rows of
/// words, and behind them words of the layer. The plan counts them.
struct Words<'m> {
    /// The mean, in units of 2^-32 codes: its low bits and its high ones.
    mean: [&'m mut [i32]; 2],
    /// One over the deviation: mantissas and exponents.
    deviation: [&'m mut [i32]; 2],
    /// What pixels are multiplied by, one row forward and three back.
    factors: [&'m mut [i32]; 3],
    /// Gradients of weight and bias.
    grads: [&'m mut [i32]; 2],
    /// Exponent of the gradients of pixels, without the units of tensors, octaves that they are likely to
    /// stay below their bound, and the exponent of the gradient of the weight, in units of the gradient.
    back: &'m mut [i32],
}

impl<'m> Words<'m> {
    const ROWS: usize = NORM_WORDS[0];
    /// The rows before the factors.
    const FACTORS: usize = 4;

    fn new(words: MantissasMut<'m>) -> Self {
        let words = if let MantissasMut::I32(words) = words { words } else { &mut [] };
        let channels = words.len().saturating_sub(NORM_WORDS[1]) / NORM_WORDS[0];
        let mut rest = words;
        let mut take = |len| {
            let (row, behind) = core::mem::take(&mut rest).split_at_mut_checked(len)?;
            rest = behind;
            Some(row)
        };
        let mut row = || take(channels).unwrap_or_default();
        Self {
            mean: [row(), row()],
            deviation: [row(), row()],
            factors: [row(), row(), row()],
            grads: [row(), row()],
            back: rest,
        }
    }

    fn put(&mut self, channel: usize, mean: i64, deviation: Scaled) {
        set(self.mean[0], channel, mean as i32);
        set(self.mean[1], channel, (mean >> 32) as i32);
        set(self.deviation[0], channel, deviation.mantissa);
        set(self.deviation[1], channel, deviation.exponent);
    }

    fn mean(&self, channel: usize) -> Mean {
        Mean {
            whole: get(self.mean[1], channel).into(),
            fraction: get(self.mean[0], channel).cast_unsigned().into(),
        }
    }

    fn deviation(&self, channel: usize) -> Scaled {
        let [mantissa, exponent] = self.deviation.each_ref().map(|row| get(row, channel));
        Scaled { mantissa, exponent }
    }
}

/// A mean of codes: the whole number below it, and what is above in units of 2^-32.
#[derive(Clone, Copy)]
struct Mean {
    whole: i64,
    fraction: i64,
}

impl Mean {
    /// Times a factor of at most 30 bits, the fraction rounded to nearest.
    const fn times(self, factor: i32) -> i64 {
        let factor = factor as i64;
        factor * self.whole + ((factor * self.fraction + (1 << 31)) >> 32)
    }
}

fn get(row: &[i32], at: usize) -> i32 {
    row.get(at).copied().unwrap_or(0)
}

fn set(row: &mut [i32], at: usize, value: i32) {
    if let Some(place) = row.get_mut(at) {
        *place = value;
    }
}

/// A running number, of two words.
fn running(rows: &[i32], channels: usize, which: usize, channel: usize) -> i64 {
    let [low, high] = [0, 1].map(|half| get(rows, (2 * which + half) * channels + channel));
    i64::from(high) << 32 | i64::from(low.cast_unsigned())
}

fn keep_running(rows: &mut [i32], channels: usize, which: usize, channel: usize, value: i64) {
    for (half, word) in [value as i32, (value >> 32) as i32].into_iter().enumerate() {
        set(rows, (2 * which + half) * channels + channel, word);
    }
}

impl<'e, K: Kernel, S: Strategy, U: Uses> Engine<'e, K, S, U> {
    /// Mean and deviation of every channel of the input.
    #[inline(never)]
    pub(super) fn norm_statistics(&mut self, at: At<'e>, norm: BatchNorm, count: usize) {
        let (plan, channels) = (at.plan, at.units());
        let (input, unit) = (self.input_region(plan), i32::from(self.input_exponent(plan)));
        let [x, words, kept] = pick(self.memory, [input, &plan.channels_now, &plan.channels]);
        let MantissasMut::I32(kept) = kept else { return };
        let x = if input.len == 0 { Mantissas::I8(self.samples) } else { U::codes(x.as_ref()) };
        let mut words = Words::new(words);
        let rows = count * plan.way.rows as usize;
        let pixels = rows as u32;
        let learns = self.mode == Mode::Train && !norm.frozen;
        // No code is further from zero.
        let end = 1i64 << (31 + plan.way.input_bits);
        for first in (0..channels).step_by(BLOCK) {
            let width = BLOCK.min(channels - first);
            let columns = Columns { u: x, v: x, channels, first, width };
            let sums = learns.then(|| columns.sums::<K, U>(self.kernel, 0..rows));
            for i in 0..width {
                let channel = first + i;
                let [mean, variance] = [0, 1].map(|which| running(kept, channels, which, channel));
                let past = Statistics { mean, variance };
                let (now, deviation) = match &sums {
                    None => {
                        let deviation = past.inverse_deviation(norm.eps, 0);
                        let exponent = deviation.exponent.saturating_add(unit);
                        (past.scaled(-unit), Scaled { exponent, ..deviation })
                    }
                    Some(sums) => {
                        let sum = |all: &[i64]| all.get(i).copied().unwrap_or(0);
                        let now = Statistics::of(sum(&sums.plain), sum(&sums.products), pixels);
                        let new = now.unbiased(pixels).scaled(unit);
                        let Statistics { mean, variance } = past.towards(new, norm.momentum);
                        keep_running(kept, channels, 0, channel, mean);
                        keep_running(kept, channels, 1, channel, variance);
                        (now, now.inverse_deviation(norm.eps, unit))
                    }
                };
                words.put(channel, now.mean.max(-end).min(end), deviation);
            }
        }
    }

    /// The factor of every channel, and what is known of the sums.
    #[inline(never)]
    pub(super) fn norm_unit(&mut self, at: At<'e>) -> Sums {
        let (plan, channels) = (at.plan, at.units());
        let [words, weight] = pick(self.memory, [&plan.channels_now, &plan.weight.codes]);
        let (words, weight) = (Words::new(words), weight.as_ref());
        let factor =
            |words: &Words<'_>, c| Scaled::new(weight.get(c).into(), 0).times(words.deviation(c));
        let top = (0..channels).filter_map(|c| factor(&words, c).log()).max();
        let now = self.exponents.get(at.i).map_or((0, 0), |now| (now.weight, now.bias_limit));
        let (weight_exponent, bias_limit) = (i32::from(now.0), i32::from(now.1));
        // A code times its factor stays within 2^29, and so does a bias.
        let bits = i32::from(plan.way.input_bits);
        let unit = (top.unwrap_or(0) + bits - 30).max(bias_limit - 29 - weight_exponent);
        for c in 0..channels {
            let factor = factor(&words, c).at(unit);
            set(words.factors[0], c, factor);
        }
        let exponent = grid(clamped(unit), now.0, 0);
        // Three deviations, and as much again as weights do not fill their bits.
        let likely = weight_exponent + i32::from(at.config.weight.bits()) + 1;
        let slack = (i32::from(exponent) + 31 - likely).clamp(0, 31) as u8;
        Sums { exponent, bits: 31, slack }
    }

    /// The offsets of all channels, added to the biases on the grid of the sums.
    #[inline(never)]
    pub(super) fn norm_offsets(&mut self, at: At<'e>) {
        let [row, words] = pick(self.memory, [&self.shared.row, &at.plan.channels_now]);
        let (MantissasMut::I32(row), words) = (row, Words::new(words)) else { return };
        for (c, (bias, &factor)) in row.iter_mut().zip(&*words.factors[0]).enumerate() {
            let offset = words.mean(c).times(factor);
            *bias = bias.wrapping_sub(offset as i32);
        }
    }

    /// From the gradient of the output: those of weight and bias, and the factors of the gradient of
    /// the input.
    #[inline(never)]
    pub(super) fn norm_back(&mut self, at: At<'e>, norm: BatchNorm, count: usize) {
        let (plan, channels) = (at.plan, at.units());
        let Some(quant) = at.config.activation_grad else { return };
        let input = self.input_region(plan);
        let regions = [input, &plan.channels_now, &plan.grad, &plan.weight.codes];
        let [x, words, grad, weight] = pick(self.memory, regions);
        let x = if input.len == 0 { Mantissas::I8(self.samples) } else { U::codes(x.as_ref()) };
        let (grad, weight) = (U::codes(grad.as_ref()), weight.as_ref());
        let mut words = Words::new(words);
        let rows = count * plan.way.rows as usize;
        let pixels = rows as u32;
        let factor =
            |words: &Words<'_>, c| Scaled::new(weight.get(c).into(), 0).times(words.deviation(c));
        let (grad_bits, input_bits) = (i32::from(quant.bits), i32::from(plan.way.input_bits));
        // The sums of the weight gradient stay below 2^30: magnitudes of numbers that were normalised add up
        // to no more than their number, and others lie within two ranges of the input.
        let mut grad_unit = i32::from(plan.weight_grad.bits) - 30;
        if norm.frozen {
            let furthest = (0..channels).filter_map(|c| words.deviation(c).log()).max();
            grad_unit += input_bits + furthest.unwrap_or(0);
        }
        // Largest magnitudes, as powers of two: of the gradient times its factor, and of the slope.
        let (mut plain, mut sloping) = (None, None);
        for first in (0..channels).step_by(BLOCK) {
            let width = BLOCK.min(channels - first);
            let columns = Columns { u: grad, v: x, channels, first, width };
            let sums = columns.sums::<K, U>(self.kernel, 0..rows);
            for (i, (&sum, &products)) in
                sums.plain.iter().zip(&sums.products).enumerate().take(width)
            {
                let c = first + i;
                let (mean, deviation) = (words.mean(c), words.deviation(c));
                // The sum of g * (x - mean), exactly.
                let about = products.wrapping_sub(mean.whole.wrapping_mul(sum));
                let about = (i128::from(about) << 32) - i128::from(mean.fraction) * i128::from(sum);
                let normal = Scaled::wide(about, -32).times(deviation);
                set(words.grads[0], c, normal.at(grad_unit));
                set(words.grads[1], c, jam(sum, plan.bias_grad.drop.into()) as i32);
                let factor = factor(&words, c);
                let (mut mean_grad, mut slope) = (0, Scaled::new(0, 0));
                if !norm.frozen {
                    mean_grad = (sum << 15).checked_div(pixels.into()).unwrap_or(0) as i32;
                    slope = normal.over(pixels).times(deviation).times(factor);
                }
                set(words.factors[0], c, mean_grad);
                set(words.factors[1], c, slope.mantissa);
                set(words.factors[2], c, slope.exponent);
                plain = plain.max(factor.log().map(|log| log + grad_bits - 1));
                sloping = sloping.max(slope.log().map(|log| log + input_bits));
            }
        }
        let top = plain.max(sloping).unwrap_or(0);
        // Each of the three terms stays within 2^28.
        let unit = top - 28;
        for c in 0..channels {
            let [mean_grad, mantissa, exponent] = words.factors.each_ref().map(|row| get(row, c));
            let p = factor(&words, c).at(unit);
            let q = Scaled { mantissa, exponent }.at(unit);
            let even = (i64::from(p) * i64::from(mean_grad) + (1 << 14)) >> 15;
            let r = words.mean(c).times(q) - even;
            for (row, value) in words.factors.iter_mut().zip([p, -q, r as i32]) {
                set(row, c, value);
            }
        }
        let slack = 2 + top - plain.unwrap_or(top);
        words.back.iter_mut().zip([unit, slack, grad_unit]).for_each(|(word, value)| *word = value);
    }

    /// Words of the layer: see [`Words::back`].
    fn norm_words(&self, at: At<'_>) -> [i32; NORM_WORDS[1]] {
        let from = at.plan.channels_now.offset() as usize + 4 * Words::ROWS * at.units();
        let bytes = self.memory.get(from..).unwrap_or_default();
        let mut words = bytes.as_chunks().0.iter().map(|&bytes| i32::from_le_bytes(bytes));
        [(); NORM_WORDS[1]].map(|()| words.next().unwrap_or(0))
    }

    /// Exponent of the sums of the weight gradient, in units of the gradient.
    #[inline(never)]
    pub(super) fn norm_grad_unit(&self, at: At<'_>) -> i16 {
        let [.., unit] = self.norm_words(at);
        clamped(unit)
    }

    /// What is known of the gradient of the input.
    pub(super) fn norm_grad_sums(&self, at: At<'e>) -> Sums {
        let [unit, slack, _] = self.norm_words(at);
        let (grad, weight) = self.exponents.get(at.i).map_or((0, 0), |now| (now.grad, now.weight));
        let unit = unit - i32::from(self.input_exponent(at.plan));
        let exponent = grid(grad, weight, clamped(unit));
        Sums { exponent, bits: 30, slack: slack.clamp(0, 30) as u8 }
    }

    /// Some of the gradients of weight or bias, into sums.
    pub(super) fn norm_grads(&mut self, at: At<'e>, to: &Region, bias: bool, first: usize) {
        let [sums, words] = pick(self.memory, [to, &at.plan.channels_now]);
        if let MantissasMut::I32(sums) = sums {
            let words = Words::new(words);
            let [weights, biases] = words.grads;
            let grads = if bias { biases } else { weights };
            let grads = grads.get(first..).unwrap_or_default();
            sums.iter_mut().zip(grads).for_each(|(sum, &grad)| *sum = grad);
        }
    }
}

/// The factors of a layer's pixels among its words: one row forward, three rows back.
pub(super) const fn norm_factors(words: &Region, channels: usize, rows: usize) -> Region {
    let from = words.offset() + 4 * (Words::FACTORS * channels) as u32;
    Region::new(from, (rows * channels) as u32, words.width())
}

fn clamped(exponent: i32) -> i16 {
    exponent.clamp(i16::MIN.into(), i16::MAX.into()) as i16
}

#[cfg(test)]
mod tests {
    use std::{vec, vec::Vec};

    use crate::{
        graph::{BatchNorm, Kind},
        prelude::*,
    };

    const NET: Graph<4> = Graph::input([2, 1, 1]).batch_norm().dense("fc", 2);
    const ICE: Graph<4> = Graph::input([2, 1, 1])
        .layer("norm", Kind::BatchNorm(BatchNorm::new().frozen()))
        .dense("fc", 2);
    /// Weights stay, statistics move.
    const TRAIN: Train = Train::new(4, Lr::ZERO);

    /// Means and variances of both channels, in units of 2^-32.
    fn running(plan: &Plan<4>, persistent: &[u8]) -> [[i64; 2]; 2] {
        let words: Vec<i64> = persistent[plan.layers()[1].channels.range()]
            .as_chunks()
            .0
            .iter()
            .map(|&bytes| i32::from_le_bytes(bytes).into())
            .collect();
        [0, 4].map(|at| [0, 1].map(|c| words[at + 2 + c] << 32 | words[at + c] & 0xffff_ffff))
    }

    fn run(net: &Graph<4>, epochs: &[[i8; 8]]) -> [[i64; 2]; 2] {
        let layer = LayerConfig::tiny();
        let config = Config::uniform(net.view(), layer, TRAIN);
        let mut arena = Arena::<4096>::new();
        let mut trainer = Trainer::new(net, &config, arena.as_mut_slice(), Scalar, ()).unwrap();
        for data in epochs {
            let samples = Samples { data: SampleData::I8(data), exponent: -6 };
            trainer.step(samples, Targets::Classes(&[0, 1, 0, 1])).unwrap();
        }
        let plan = *trainer.plan();
        running(&plan, trainer.persistent())
    }

    #[test]
    fn running_statistics_arrive_where_a_difference_of_one_code_leads_them() {
        const UNIT: i64 = 1 << 32;
        assert_eq!(run(&NET, &[]), [[0; 2], [UNIT; 2]]);
        let constant = |code| vec![[code; 8]; 300];
        let mut epochs = constant(100);
        assert_eq!(run(&NET, &epochs), [[100 * UNIT / 64; 2], [0; 2]]);
        epochs.extend(constant(101));
        assert_eq!(run(&NET, &epochs), [[101 * UNIT / 64; 2], [0; 2]]);
        // A variance of one code, of four samples corrected by 4 / 3.
        let mut one = epochs.clone();
        one.extend(vec![[10, -1, 11, -1, 10, -2, 11, -2]; 300]);
        let variance = UNIT / 4 * 4 / 3 / 64 / 64;
        let [means, variances] = run(&NET, &one);
        assert_eq!(means, [21 * UNIT / 128, -3 * UNIT / 128]);
        assert!(variances.iter().all(|found| (found - variance).abs() <= 1), "{variances:?}");
    }

    #[test]
    fn frozen_statistics_stay() {
        let epochs = vec![[100, 3, 90, 7, 80, 5, 10, 3]; 3];
        assert_eq!(run(&ICE, &epochs), run(&ICE, &[]));
        assert_ne!(run(&NET, &epochs), run(&NET, &[]));
    }

    #[test]
    fn inference_uses_what_training_has_gathered() {
        const PICTURES: Graph<4> = Graph::input([1, 8, 8]).batch_norm().dense("fc", 2);
        let mut layer = LayerConfig::new(8);
        layer.activation = layer.activation.map(|point| point.straight());
        let config = Config::uniform(PICTURES.view(), layer, TRAIN);
        let mut arena = Arena::<20_000>::new();
        let mut trainer =
            Trainer::new(&PICTURES, &config, arena.as_mut_slice(), Scalar, ()).unwrap();
        let data: Vec<i8> = (0..256).map(|i| (40 + i * 37 % 61) as i8).collect();
        let samples = Samples { data: SampleData::I8(&data), exponent: -6 };
        let classes = Targets::Classes(&[0, 1, 0, 1]);
        let far = trainer.evaluate(samples, classes).unwrap().loss;
        let mut last = 0;
        for _ in 0..200 {
            last = trainer.step(samples, classes).unwrap().tally.loss;
        }
        let near = trainer.evaluate(samples, classes).unwrap().loss;
        // The variance of inference is the corrected one, by 256 / 255.
        assert!(near.abs_diff(last) < last / 50, "{near} and {last}");
        assert!(far.abs_diff(last) > last / 10, "{far} and {last}");
    }
}
