//! The backward pass: activation gradients downwards, weight gradients on the way.

use super::{
    engine::{Engine, Of, linked_loss},
    forward::{pieces, tile_rows},
    point::{Sums, widen},
    state::Tensor,
};
use crate::{
    graph::{Kind, LayerPlan, Region, pick, trains},
    kernel::Kernel,
    layer::{dense, relu},
    loss::{Outputs, Target},
    optim::block,
    strategy::Strategy,
    tensor::{Mantissa, Mantissas, MantissasMut, Matrix, for_width},
    uses::{Part, Uses},
};

/// What the samples of a call should give.
#[derive(Clone, Copy, Debug)]
pub enum Targets<'a> {
    /// One class a sample.
    Classes(&'a [u16]),
    /// One value an output, sample after sample, in units of `2^exponent`.
    Values {
        /// Mantissas.
        mantissas: &'a [i16],
        /// Exponent of their unit.
        exponent: i16,
    },
}

impl<'a> Targets<'a> {
    /// The target of sample `index` with `outputs` outputs.
    pub(crate) fn at(&self, index: usize, outputs: usize) -> Target<'a> {
        match *self {
            Self::Classes(classes) => {
                Target::Class(classes.get(index).copied().unwrap_or(u16::MAX))
            }
            Self::Values { mantissas, exponent } => {
                let from = index * outputs;
                let values = mantissas.get(from..from + outputs).unwrap_or_default();
                Target::Values(values, exponent)
            }
        }
    }

    /// Samples `from..from + len`, or none.
    #[must_use]
    pub(crate) fn part(self, from: usize, len: usize, outputs: usize) -> Self {
        match self {
            Self::Classes(classes) => {
                Self::Classes(classes.get(from..from + len).unwrap_or_default())
            }
            Self::Values { mantissas, exponent } => {
                let range = from * outputs..(from + len) * outputs;
                Self::Values { mantissas: mantissas.get(range).unwrap_or_default(), exponent }
            }
        }
    }
}

/// Where the sums of an activation gradient come from.
#[derive(Clone, Copy)]
enum Source<'a> {
    /// The loss, from the outputs.
    Loss(Targets<'a>),
    /// The quantised gradient of this layer's own output.
    Layer(usize),
}

impl<K: Kernel, S: Strategy, U: Uses> Engine<'_, K, S, U> {
    /// All gradients of `count` samples, of which the first is sample `base` of the step. Weights
    /// move at once, or their gradients are added up when the batch comes in parts.
    // Not inlined, so that its frame is not under the forward pass.
    #[inline(never)]
    pub(crate) fn backward(&mut self, targets: Targets<'_>, count: usize, base: u32) {
        let top = self.graph.layers().len().saturating_sub(1);
        self.downwards(Source::Loss(targets), top, count, base);
        for i in (1..=top).rev() {
            let (Some(plan), Some(layer)) = (self.plan.get(i), self.graph.layers().get(i)) else {
                return;
            };
            if plan.grad.len == 0 {
                continue;
            }
            self.block_clipped(i, plan, count);
            if trains(self.graph, i - 1) {
                self.downwards(Source::Layer(i), i - 1, count, base);
            }
            if matches!(layer.kind, Kind::Dense { .. }) {
                self.param_grads(i, plan, count);
            }
        }
    }

    /// Sends the gradient of the output of layer `from` down to the next point.
    fn downwards(&mut self, source: Source<'_>, from: usize, count: usize, base: u32) {
        let Some(target) = self.gradient_target(from) else { return };
        let (Some(plan), Some(config), Some(layer)) =
            (self.plan.get(target), self.layers.get(target), self.graph.layers().get(target))
        else {
            return;
        };
        let Some(quant) = config.activation_grad else { return };
        let numbers = layer.shape.elements();
        let sums = self.sums_of(source);
        self.align_channels(source, count);
        let mut pass = self.pass(Of {
            layer: target,
            tensor: Tensor::ActivationGrad,
            quant,
            sums,
            row: numbers,
        });
        let tile = match source {
            Source::Layer(i) => self.plan.get(i).map_or(self.scratch, |above| above.backward_tile),
            Source::Loss(_) => self.scratch,
        };
        let rows = tile_rows(tile.len as usize, numbers, count);
        for (at, rows) in pieces(count, rows) {
            let tile = Region { len: (rows * numbers) as u32, ..tile };
            self.produce(source, tile, at, rows, count);
            self.through_layers(target, from, source, tile, at * numbers);
            let base = base.wrapping_mul(numbers as u32);
            self.emit_tile(&mut pass, tile, [plan.grad, Region::NONE], at * numbers, base);
        }
        let passed = pass.finish();
        self.keep(target, Tensor::ActivationGrad, passed.state);
        if let Some(state) = self.states.get_mut(target) {
            state.grad_exponent = passed.exponent;
        }
    }

    /// What is known of the sums of a source.
    fn sums_of(&self, source: Source<'_>) -> Sums {
        let i = match source {
            Source::Loss(_) => self.graph.layers().len().saturating_sub(1),
            Source::Layer(i) => i,
        };
        let (Some(state), Some(plan), Some(layer), Some(config)) =
            (self.state(i), self.plan.get(i), self.graph.layers().get(i), self.layers.get(i))
        else {
            return Sums { exponent: 0, bits: 30, slack: 0 };
        };
        match (source, layer.kind) {
            (Source::Loss(targets), _) => {
                let target = targets.at(0, 0);
                let (loss, outputs) = (linked_loss::<U>(self.train.loss), state.output_exponent);
                let exponent = loss.grad_exponent(outputs, &target);
                let bits = loss.grad_bits(outputs, plan.output_bits, &target);
                Sums { exponent, bits, slack: 0 }
            }
            (_, Kind::Dense { .. }) => {
                let up = i16::from(plan.input_grad.drop) - i16::from(plan.spread);
                let exponent = state.grad_exponent.saturating_add(state.weight_exponent);
                let slack = Sums::slack_of(layer.shape.elements());
                let bits = plan.input_grad.kept();
                Sums { exponent: exponent.saturating_add(up), bits, slack }
            }
            _ if !U::uses(Part::PassingPoints) => Sums { exponent: 0, bits: 30, slack: 0 },
            _ => {
                let bits = config.activation_grad.map_or(16, |quant| quant.bits);
                Sums { exponent: state.grad_exponent, bits: bits.saturating_sub(1), slack: 0 }
            }
        }
    }

    /// Gradients of channels with bounds of their own, brought to one unit.
    fn align_channels(&mut self, source: Source<'_>, count: usize) {
        let Source::Layer(i) = source else { return };
        let (Some(plan), Some(layer)) = (self.plan.get(i), self.graph.layers().get(i)) else {
            return;
        };
        let (units, spread) = (layer.shape.elements(), plan.spread);
        if !U::uses(Part::Channels) || spread == 0 {
            return;
        }
        let regions = [self.scratch, plan.grad, plan.aligned_grad, plan.channels_now];
        let [scratch, grad, mut aligned, channels] = pick(self.memory, regions);
        let (MantissasMut::I32(scratch), MantissasMut::I8(below)) = (scratch, channels) else {
            return;
        };
        let row = scratch.get_mut(..units).unwrap_or_default();
        for sample in 0..count {
            widen(grad.as_ref().part(sample * units, units), row);
            dense::Channels { below, spread }.align(row);
            aligned.part(sample * units, units).store(row);
        }
    }

    /// Sums of one tile.
    #[inline(never)]
    fn produce(&mut self, source: Source<'_>, tile: Region, at: usize, rows: usize, count: usize) {
        let i = match source {
            Source::Loss(_) => self.graph.layers().len().saturating_sub(1),
            Source::Layer(i) => i,
        };
        let (Some(plan), Some(&layer)) = (self.plan.get(i), self.graph.layers().get(i)) else {
            return;
        };
        let Some(holder) = self.plan.get(usize::from(plan.output)) else { return };
        let exponent = self.state(i).map_or(0, |s| s.output_exponent);
        let units = layer.shape.elements();
        let grad =
            if U::uses(Part::Channels) && plan.spread > 0 { plan.aligned_grad } else { plan.grad };
        let own = match source {
            Source::Loss(_) => holder.activation,
            Source::Layer(_) => grad,
        };
        let [sums, own, weight] = pick(self.memory, [tile, own, plan.weight.codes]);
        let MantissasMut::I32(sums) = sums else { return };
        let numbers = sums.len() / rows.max(1);
        match (source, layer.kind) {
            (Source::Loss(targets), _) => {
                for (r, row) in sums.chunks_exact_mut(units.max(1)).enumerate() {
                    let codes = own.as_ref().part((at + r) * units, units);
                    let target = targets.at(at + r, units);
                    let outputs = Outputs { codes, exponent };
                    let loss = linked_loss::<U>(self.train.loss).row(outputs, &target, row);
                    self.tally.loss = self.tally.loss.saturating_add(loss);
                    self.tally.note(&outputs, &target);
                }
            }
            (_, Kind::Dense { .. }) => {
                let grad = Matrix::new(own.as_ref(), count, units).row_range(at, rows);
                let weight = Matrix::new(weight.as_ref(), units, numbers);
                dense::input_grad::<K, U>(self.kernel, grad, weight, plan.input_grad.drop, sums);
            }
            _ if !U::uses(Part::PassingPoints) => {}
            _ => widen(own.as_ref().part(at * numbers, sums.len()), sums),
        }
    }

    /// Blocks the sums where a layer between the source and the target blocks them: a ReLU where
    /// it was not positive, an activation point without a gradient point where it clipped.
    #[inline(never)]
    fn through_layers(
        &mut self,
        target: usize,
        from: usize,
        source: Source<'_>,
        tile: Region,
        first: usize,
    ) {
        let own = match source {
            Source::Layer(i) => Some(i),
            Source::Loss(_) => None,
        };
        for i in (target + 1..=from).chain(own) {
            let (Some(plan), Some(layer), Some(state)) =
                (self.plan.get(i), self.graph.layers().get(i), self.states.get(i))
            else {
                return;
            };
            let Some(holder) = self.plan.get(usize::from(plan.output)) else { return };
            let [sums, output, mask] = pick(self.memory, [tile, holder.activation, plan.pass]);
            let (MantissasMut::I32(sums), MantissasMut::I8(mask)) = (sums, mask) else { return };
            if layer.kind == Kind::Relu {
                relu::backward(sums, output.as_ref().part(first, sums.len()));
            }
            let clips = U::uses(Part::Clipping) && plan.pass.len > 0 && state.output_clipped;
            if clips && plan.grad.len == 0 {
                block(sums, first as u32, bytemuck::cast_slice(mask));
            }
        }
    }

    /// The straight-through gradient is zero where the output was clipped.
    fn block_clipped(&mut self, i: usize, plan: &LayerPlan, count: usize) {
        if !U::uses(Part::Clipping)
            || plan.pass.len == 0
            || !self.state(i).is_some_and(|s| s.output_clipped)
        {
            return;
        }
        let numbers = self.graph.layers().get(i).map_or(0, |l| l.shape.elements());
        let [grad, mask] = pick(self.memory, [plan.grad, plan.pass]);
        let Mantissas::I8(mask) = mask.as_ref() else { return };
        let mask: &[u8] = bytemuck::cast_slice(mask);
        let count = count * numbers;
        for_width!(MantissasMut, grad, grad => {
            for (i, g) in grad.iter_mut().take(count).enumerate() {
                let mut wide = [g.widen()];
                block(&mut wide, i as u32, mask);
                *g = Mantissa::from_code(wide[0]);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use crate::{prelude::*, trainer::Tensor};

    const NET: Graph<8> = Graph::input([24, 1, 1])
        .dense("fc1", 32)
        .relu()
        .dense("fc2", 32)
        .relu()
        .dense("fc3", 32)
        .relu()
        .dense("fc4", 5);

    #[test]
    fn under_moving_ranges_the_first_steps_already_have_gradients() {
        let moving = Range::Moving { window: 8, percentile: 10_000 };
        let mut layer = LayerConfig::new(8);
        for quant in [&mut layer.weight_grad, &mut layer.bias_grad] {
            quant.range = moving;
        }
        layer.activation_grad.as_mut().unwrap().range = moving;
        layer.activation.as_mut().unwrap().train.range = moving;
        for loss in [LossKind::SoftmaxCrossEntropy, LossKind::Mse] {
            let train = Train { loss, ..Train::new(16, Lr::ratio(1, 10)) };
            let config = Config::uniform(NET.view(), layer, train);
            let mut arena = Arena::<100_000>::new();
            let mut trainer =
                Trainer::new(&NET, &config, arena.as_mut_slice(), Scalar, ()).unwrap();
            let data: std::vec::Vec<u8> = (0..16 * 24).map(|i| (i * i % 251) as u8).collect();
            let samples = Samples { data: SampleData::U8(&data), exponent: -8 };
            let classes: std::vec::Vec<u16> = (0..16).map(|i| i % 5).collect();
            for step in 1..=3 {
                trainer.step(samples, Targets::Classes(&classes)).unwrap();
                for (i, state) in trainer.states().iter().enumerate().skip(1).step_by(2) {
                    for tensor in [Tensor::ActivationGrad, Tensor::WeightGrad, Tensor::BiasGrad] {
                        let seen = state.range(tensor);
                        let lost = f64::from(seen.underflowed) / f64::from(seen.elements);
                        assert!(lost < 0.75, "{loss:?} step {step} layer {i} {tensor:?}: {lost}");
                    }
                }
                trainer.reset_counters();
            }
        }
    }
}
