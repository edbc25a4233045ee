//! The backward pass: activation gradients downwards, weight gradients on the way.

use super::{
    engine::{At, Engine, linked_loss},
    forward::pieces,
    norm::{norm_factors, norm_of},
    point::{Sums, grid, widen},
    recurrent::lstm_of,
    state::Tensor,
    stored::{in_arena, or_stored},
    targets::Targets,
    update::Which,
};
use crate::{
    graph::{Region, Way, nothing, pick},
    kernel::{Cut, Kernel, is_alone, share, whole_rows},
    layer::{Average, Channels, InputGrad, Operator, Output, Tag, operate},
    loss::Outputs,
    optim::block,
    strategy::Strategy,
    tensor::{Mantissa, Mantissas, MantissasMut, for_width},
    uses::{Part, Uses},
};

/// Where the sums of an activation gradient come from.
#[derive(Clone, Copy)]
enum Source<'a> {
    /// The loss, from the outputs.
    Loss(Targets<'a>),
    /// The quantised gradient of the layer's own output, by the output of this one.
    Layer(usize),
}

/// Sums of a gradient, and the output that says which of them pass.
struct Gate<'g> {
    sums: &'g mut [i32],
    output: Mantissas<'g>,
}

impl Cut for Gate<'_> {
    fn cut(self, part: usize, parts: usize) -> (Self, Self) {
        let at = whole_rows(self.sums.len(), 1, part, parts);
        let (left, right) = self.sums.split_at_mut_checked(at).unwrap_or_default();
        let output = self.output.part(0, at);
        let rest = self.output.part(at, right.len());
        (Self { sums: left, output }, Self { sums: right, output: rest })
    }
}

impl<'e, K: Kernel, S: Strategy, U: Uses> Engine<'e, K, S, U> {
    /// All gradients of `count` samples, of which the first is sample `base` of the step. Weights
    /// move at once, or their gradients are added up when the batch comes in parts.
    // Not inlined, so that its frame is not under the forward pass.
    #[inline(never)]
    pub(crate) fn backward(&mut self, targets: Targets<'_>, count: usize, base: u32) {
        let top = self.plan.len().saturating_sub(1);
        self.downwards(Source::Loss(targets), top, count, base);
        for i in (1..=top).rev() {
            let Some(at) = self.at(i) else { return };
            if at.plan.grad.len == 0 {
                continue;
            }
            self.recompute(at, count, base);
            self.block_clipped(at, count);
            if let Some(norm) = norm_of::<U>(&at.plan.way) {
                self.norm_back(at, norm, count);
            }
            if let Some(lstm) = lstm_of::<U>(&at.plan.way) {
                self.lstm_back(at, lstm, count, base);
            }
            if U::links_joins() {
                self.backward_joined(at, count, base);
                continue;
            }
            self.downwards(Source::Layer(at.plan.way.input.into()), i, count, base);
            self.move_weights(at, count);
        }
    }

    /// As in a chain, with the first of the layers that read the same: only then are the gradients of
    /// all of them there. Weights move after they were multiplied with.
    #[inline(always)]
    fn backward_joined(&mut self, at: At<'e>, count: usize, base: u32) {
        let way = &at.plan.way;
        let inputs = if way.joins() { &[way.input, way.other][..] } else { &[way.input] };
        for of in inputs.iter().map(|&of| usize::from(of)) {
            if self.is_first_reader(at.i, of) {
                self.downwards(Source::Layer(of), at.i, count, base);
                for reader in self.readers(of) {
                    self.move_weights(reader, count);
                }
            }
        }
    }

    #[inline(always)]
    fn move_weights(&mut self, at: At<'e>, count: usize) {
        let moves = |which| at.moving::<U>(which).1 > 0;
        if at.plan.weight.master.len > 0
            && (!U::uses(Part::Partial) || moves(Which::Weight) || moves(Which::Bias))
        {
            self.param_grads(at, count);
        }
    }

    /// Compares the outputs of a forward pass with their targets.
    pub(crate) fn judge(&mut self, targets: Targets<'_>, count: usize) {
        let Some(top) = self.at(self.plan.len().saturating_sub(1)) else { return };
        let tile = self.shared.scratch.first(top.outputs());
        for sample in 0..count {
            self.lose(targets, top, &tile, sample * top.outputs());
        }
    }

    /// Sends a gradient from layer `i` down to the next point: that of the loss, or that of the
    /// layer's own output through the layer.
    #[inline(never)]
    fn downwards(&mut self, source: Source<'_>, i: usize, count: usize, base: u32) {
        let Some(from) = self.at(i) else { return };
        let (below, tile) = match source {
            Source::Loss(_) => (i, &self.shared.scratch),
            Source::Layer(of) => (of, &from.plan.backward_tile),
        };
        let tile = *tile;
        let target = self.plan.get(below).map_or(Way::NOWHERE, |plan| plan.way.target);
        let Some(to) = self.at(target.into()) else { return };
        let Some(quant) = &to.config.activation_grad else { return };
        let numbers = to.outputs();
        let several = U::links_joins()
            && matches!(source, Source::Layer(_))
            && self.readers(below).nth(1).is_some();
        let sums = match source {
            Source::Loss(targets) => self.loss_sums(targets, from),
            Source::Layer(_) if several => self.readers_unit(below).sums(),
            Source::Layer(_) => self.layer_sums(from),
        };
        if U::uses(Part::Channels) && matches!(source, Source::Layer(_)) {
            if several {
                self.readers(below).for_each(|reader| self.align_channels(reader, count));
            } else {
                self.align_channels(from, count);
            }
        }
        let mut pass = self.pass(to.i, Tensor::ActivationGrad, quant, sums, numbers);
        let base = base.wrapping_mul(numbers as u32);
        let (rows, row) = (count * to.plan.way.rows as usize, usize::from(to.plan.way.channels));
        for (at, rows) in pieces(rows, to.plan.way.grad_rows as usize) {
            let tile = tile.first(rows * row);
            match source {
                Source::Loss(targets) => self.lose(targets, from, &tile, at * row),
                Source::Layer(of) if several => self.produce_all(of, &tile, at * row, count),
                Source::Layer(of) => self.produce(from, of, &tile, at * row, count),
            }
            self.through_layers(to.i, if several { below } else { i }, &tile, at * row);
            let codes = [&to.plan.grad, &Region::NONE];
            self.emit_tile(&mut pass, &tile, codes, at * row, base);
        }
        let passed = pass.finish();
        self.keep(to.i, Tensor::ActivationGrad, &passed);
        if let Some(now) = self.exponents.get_mut(to.i) {
            now.grad = passed.exponent;
        }
    }

    /// What is known of the gradient that the loss makes.
    #[inline(always)]
    fn loss_sums(&self, targets: Targets<'_>, top: At<'_>) -> Sums {
        let target = targets.at(0, 0);
        let outputs = self.exponents.get(top.i).map_or(0, |now| now.output);
        let loss = linked_loss::<U>(self.train);
        let exponent = loss.grad_exponent(outputs, &target);
        let bits = loss.grad_bits(outputs, top.plan.output_bits, &target);
        Sums { exponent, bits, slack: 0 }
    }

    /// What is known of the sums that a layer sends down.
    pub(super) fn layer_sums(&self, from: At<'e>) -> Sums {
        let At { i, plan, config } = from;
        let Some(now) = self.exponents.get(i) else {
            return Sums { exponent: 0, bits: 30, slack: 0 };
        };
        match plan.way.output {
            _ if norm_of::<U>(&plan.way).is_some() => self.norm_grad_sums(from),
            _ if plan.weight.master.len > 0 => {
                let up = i16::from(plan.input_grad.drop) - i16::from(plan.spread);
                let exponent = grid(now.grad, now.weight, up);
                let slack = Sums::slack_of(from.weight_rows::<U>());
                Sums { exponent, bits: plan.input_grad.kept(), slack }
            }
            Output::Sums | Output::Codes if U::links_windows() => {
                let average = from.average::<U>(false, self.mode);
                let exponent = grid(now.grad, 0, -i16::from(average.shift));
                Sums { exponent, bits: plan.input_grad.bits, slack: 0 }
            }
            _ if !U::uses(Part::PassingPoints) => Sums { exponent: 0, bits: 30, slack: 0 },
            _ => {
                let bits = config.activation_grad.map_or(16, |quant| quant.bits);
                Sums { exponent: now.grad, bits: bits.saturating_sub(1), slack: 0 }
            }
        }
    }

    /// Gradients of channels with bounds of their own, brought to one unit.
    fn align_channels(&mut self, from: At<'_>, count: usize) {
        let (plan, units, spread) =
            (from.plan, usize::from(from.plan.way.channels), from.plan.spread);
        if spread == 0 {
            return;
        }
        let channels = in_arena::<U>(&plan.channels_now);
        let regions = [&self.shared.scratch, &plan.grad, &plan.aligned_grad, channels];
        let [scratch, grad, mut aligned, channels] = pick(self.memory, regions);
        let channels = or_stored::<U>(self.stored, &plan.channels_now, channels.as_ref());
        let (MantissasMut::I32(scratch), Mantissas::I8(below)) = (scratch, channels) else {
            return;
        };
        let row = scratch.get_mut(..units).unwrap_or_default();
        for at in (0..count * from.plan.way.rows as usize).map(|at| at * units) {
            widen(grad.as_ref().part(at, units), row);
            Channels { below, spread }.align(row);
            aligned.part(at, units).store(row);
        }
    }

    /// Sums of the gradient by a layer's input, which is the output of layer `of`, from number `first`
    /// on into a tile.
    pub(super) fn produce(
        &mut self,
        from: At<'e>,
        of: usize,
        tile: &Region,
        first: usize,
        count: usize,
    ) {
        let (plan, way) = (from.plan, &from.plan.way);
        let aligned = U::uses(Part::Channels) && plan.spread > 0;
        let aligned = aligned || lstm_of::<U>(way).is_some();
        let own = if aligned { &plan.aligned_grad } else { &plan.grad };
        let windows = U::links_windows();
        let norm = norm_of::<U>(way).is_some();
        let factors = norm_factors(&plan.channels_now, way.channels.into(), 3);
        let weight = if norm { &factors } else { in_arena::<U>(&plan.weight.codes) };
        // One that asks for its input keeps nothing else.
        let kept = if norm { self.input_region(plan) } else { &plan.memo };
        let draws = self.draws(from);
        let [sums, own, weight, kept, room] = if windows {
            let room = self.room_for(own);
            pick(self.memory, [tile, own, weight, kept, &room])
        } else {
            let [sums, own, weight] = pick(self.memory, [tile, own, weight]);
            [sums, own, weight, nothing(), nothing()]
        };
        let MantissasMut::I32(sums) = sums else { return };
        let x = U::codes(kept.as_ref());
        let memo = if let Mantissas::I8(memo) = x { memo } else { &[] };
        let grad = U::codes(own.as_ref());
        let size = if plan.weight.master.len > 0 && !norm { 0 } else { sums.len() };
        let (kernel, pixel) = (self.kernel, self.plan.get(of).map_or(1, |of| of.way.channels));
        let run = InputGrad {
            kernel,
            from: way.from,
            depth: way.depth as usize,
            samples: count,
            channels: way.channels.into(),
            pixel: pixel.into(),
            second: U::links_joins() && usize::from(way.input) != of,
            grad,
            x,
            weight: match or_stored::<U>(self.stored, &plan.weight.codes, weight.as_ref()) {
                factors if norm => factors,
                codes => U::codes(codes),
            },
            drop: plan.input_grad.drop,
            first,
            sums,
            average: if windows { from.average::<U>(false, self.mode) } else { Average::NONE },
            memo,
            draws,
            room,
        };
        if is_alone(kernel) {
            operate!(way.kind, U, layer => layer.input_grad::<K, U>(run));
        } else {
            operate!(way.kind, U, layer => {
                share(kernel, run, size, |run| layer.input_grad::<K, U>(run));
            });
        }
    }

    /// Loss of some samples, of which the first has output `first`, and its gradient by their outputs
    /// into a tile.
    #[inline(never)]
    fn lose(&mut self, targets: Targets<'_>, top: At<'e>, tile: &Region, first: usize) {
        let units = top.outputs();
        let first = first / units.max(1);
        let Some(holder) = self.plan.get(usize::from(top.plan.output)) else { return };
        let [sums, codes] = pick(self.memory, [tile, &holder.activation]);
        let MantissasMut::I32(sums) = sums else { return };
        let codes = U::codes(codes.as_ref());
        let exponent = self.exponents.get(top.i).map_or(0, |now| now.output);
        let loss = linked_loss::<U>(self.train);
        for (at, row) in (first..).zip(sums.chunks_mut(units.max(1))) {
            let outputs = Outputs { codes: codes.part(at * units, units), exponent };
            let target = targets.at(self.from + at, units);
            self.tally.loss = self.tally.loss.saturating_add(loss.row(outputs, &target, row));
            self.tally.note(loss.right(outputs, &target));
        }
    }

    /// Blocks the sums where a layer above the target, up to layer `last`, blocks them: a ReLU
    /// where it was not positive, an activation point without a gradient point where it clipped.
    #[inline(always)]
    fn through_layers(&mut self, target: usize, last: usize, tile: &Region, first: usize) {
        for i in (target + 1..=last).rev() {
            let (Some(plan), Some(now)) = (self.plan.get(i), self.exponents.get(i)) else { return };
            // Of another branch.
            if U::links_joins() && i < last && usize::from(plan.way.target) != target {
                continue;
            }
            let clips = U::uses(Part::Clipping)
                && plan.pass.len > 0
                && plan.grad.len == 0
                && now.output_clipped;
            // What the target takes came from here, or from above. What leaves gradients as they are has
            // no need of its output, which may be gone.
            let blocks = plan.way.kind.blocks()
                && match plan.way.output {
                    Output::InPlace => !(U::links(Tag::MaxPool2d) && plan.left.is_gated()),
                    Output::Codes => U::links_copies(),
                    Output::Sums => false,
                };
            if blocks {
                let Some(holder) = self.plan.get(usize::from(plan.output)) else { return };
                let [sums, output] = pick(self.memory, [tile, &holder.activation]);
                let MantissasMut::I32(sums) = sums else { return };
                let output = U::codes(output.as_ref()).part(first, sums.len());
                let (kernel, len, unit) = (self.kernel, sums.len(), now.output);
                operate!(plan.way.kind, U, layer => {
                    share(kernel, Gate { sums, output }, len, |gate| {
                        layer.pass_back(gate.sums, gate.output, unit);
                    });
                });
            }
            if clips {
                let [sums, mask] = pick(self.memory, [tile, &plan.pass]);
                if let (MantissasMut::I32(sums), MantissasMut::I8(mask)) = (sums, mask) {
                    block(sums, first as u32, bytemuck::cast_slice(mask));
                }
            }
        }
    }

    /// The straight-through gradient is zero where the output was clipped.
    fn block_clipped(&mut self, at: At<'_>, count: usize) {
        if !U::uses(Part::Clipping)
            || at.plan.pass.len == 0
            || !self.exponents.get(at.i).is_some_and(|now| now.output_clipped)
        {
            return;
        }
        let [grad, mask] = pick(self.memory, [&at.plan.grad, &at.plan.pass]);
        let Mantissas::I8(mask) = mask.as_ref() else { return };
        let mask: &[u8] = bytemuck::cast_slice(mask);
        let count = count * at.outputs();
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
        for loss in [LossKind::SoftmaxCrossEntropy, LossKind::Mse, LossKind::BceWithLogits] {
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
                for (i, state) in trainer.states().enumerate().skip(1).step_by(2) {
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
