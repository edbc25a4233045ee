//! From master weights to the codes that the multiplication sees.

use super::{
    engine::{Engine, Mode, Of},
    point::{Passed, widen},
    state::Tensor,
};
use crate::{
    graph::{ParamPlan, pick},
    kernel::Kernel,
    quant::{Observer, Point, Quant, Range, RangeState, sweep},
    strategy::Strategy,
    tensor::MantissasMut,
};

impl<K: Kernel, S: Strategy> Engine<'_, K, S> {
    /// Quantises all parameters for this step, or for inference.
    pub(crate) fn prepare(&mut self) {
        for i in 0..self.graph.layers().len() {
            let (Some(&config), Some(&plan)) = (self.layers.get(i), self.plan.get(i)) else {
                continue;
            };
            if plan.weight.master.len == 0 {
                continue;
            }
            let exponent = config.master.exponent();
            let passed = if plan.channels.len > 0 {
                self.prepare_channels(i, config.weight, exponent)
            } else {
                self.prepare_param(i, Tensor::Weight, plan.weight, config.weight, exponent)
            };
            let biases = self.prepare_param(
                i,
                Tensor::Bias,
                plan.bias,
                config.bias,
                config.bias_master.exponent(),
            );
            self.keep(i, Tensor::Weight, passed.state);
            self.keep(i, Tensor::Bias, biases.state);
            if let Some(state) = self.states.get_mut(i) {
                state.weight_exponent = passed.exponent;
                state.bias_exponent = biases.exponent;
                state.params_clipped = [passed.clipped, biases.clipped];
            }
        }
    }

    fn quant_of(&self, point: Point) -> Quant {
        if self.mode == Mode::Train { point.train } else { point.infer }
    }

    fn prepare_param(
        &mut self,
        layer: usize,
        tensor: Tensor,
        plan: ParamPlan,
        point: Point,
        exponent: i16,
    ) -> Passed {
        let quant = self.quant_of(point);
        let bits = plan.master.width.bits() - 1;
        let row = plan.master.len as usize;
        let mut pass = self.pass(Of { layer, tensor, quant, exponent, bits, row });
        if plan.codes == plan.master {
            // The codes are the master: nothing moves, and the bound is the master's.
            pass.settle(&[]);
            return Passed { exponent, ..pass.finish() };
        }
        let regions = [self.scratch, plan.master, plan.codes, plan.pass];
        let [scratch, master, mut codes, mask] = pick(self.memory, regions);
        let (MantissasMut::I32(scratch), MantissasMut::I8(mask)) = (scratch, mask) else {
            return pass.finish();
        };
        let mask: &mut [u8] = bytemuck::cast_slice_mut(mask);
        mask.fill(0xff);
        let master = master.as_ref();
        let count = master.len();
        // Where the plan gave the whole tensor room, hooks see it in one piece and before the
        // range rule does; otherwise the rule takes a first walk over the master.
        let piece = scratch.len().max(1);
        let whole = piece >= count;
        if pass.is_whole() && !whole {
            for from in (0..count).step_by(piece) {
                let part = master.part(from, piece.min(count - from));
                let sums = scratch.get_mut(..part.len()).unwrap_or_default();
                widen(part, sums);
                pass.look(self.kernel, sums);
            }
            pass.settle(&[]);
        }
        for from in (0..count).step_by(piece) {
            let part = master.part(from, piece.min(count - from));
            let sums = scratch.get_mut(..part.len()).unwrap_or_default();
            widen(part, sums);
            pass.before(self.strategy, sums, from as u32);
            if whole || !pass.is_whole() {
                pass.look(self.kernel, sums);
                pass.settle(sums);
            }
            let codes = codes.part(from, sums.len());
            let first = from as u32;
            pass.emit(self.kernel, self.strategy, sums, first, codes, mask, first);
        }
        pass.finish()
    }

    /// Weights with a bound for every output channel: the tensor's bound is the largest, and
    /// every channel remembers how far below it lies.
    fn prepare_channels(&mut self, layer: usize, point: Point, exponent: i16) -> Passed {
        let quant = self.quant_of(point);
        let Some(&plan) = self.plan.get(layer) else { return self.none(exponent) };
        let regions = [
            self.scratch,
            plan.weight.master,
            plan.weight.codes,
            plan.weight.pass,
            plan.channels,
            plan.channels_now,
        ];
        let bits = plan.weight.master.width.bits() - 1;
        let inputs = (plan.weight.master.len / plan.channels.len.max(1)) as usize;
        let of = Of { layer, tensor: Tensor::Weight, quant, exponent, bits, row: inputs };
        let mut tensor = self.pass(of);
        let previous = self.state(layer).and_then(|s| s.range(Tensor::Weight).bound());
        let keep = quant.range == Range::Keep && previous.is_some();
        let [scratch, master, mut codes, mask, trained, channels] = pick(self.memory, regions);
        let (
            MantissasMut::I32(scratch),
            MantissasMut::I8(mask),
            MantissasMut::I8(trained),
            MantissasMut::I8(channels),
        ) = (scratch, mask, trained, channels)
        else {
            return tensor.finish();
        };
        let mask: &mut [u8] = bytemuck::cast_slice_mut(mask);
        mask.fill(0xff);
        let master = master.as_ref();
        let sums = scratch.get_mut(..inputs).unwrap_or_default();
        let row_bound = |sums: &mut [i32], row: usize| {
            widen(master.part(row * inputs, inputs), sums);
            let mut observer = Observer::new(quant.range, bits.into(), inputs);
            observer.note(sums);
            let bound = observer.bound(exponent)?;
            Some(if quant.range == Range::Sweep {
                sweep(sums, exponent, bound, quant.format())
            } else {
                bound
            })
        };
        if keep {
            channels.iter_mut().zip(trained.iter()).for_each(|(now, &below)| *now = below);
        } else {
            let top = (0..channels.len()).filter_map(|row| row_bound(sums, row)).max();
            let top = tensor.settle_at(top);
            for (row, below) in channels.iter_mut().enumerate() {
                let bound = row_bound(sums, row).unwrap_or(top);
                let distance = top.saturating_sub(bound).clamp(0, plan.spread.into());
                *below = distance as i8;
            }
            // Inference leaves no trace.
            if self.mode == Mode::Train {
                trained.iter_mut().zip(channels.iter()).for_each(|(kept, &below)| *kept = below);
            }
        }
        let top = tensor.settle(&[]);
        for (row, &below) in channels.iter().enumerate() {
            let first = row * inputs;
            widen(master.part(first, inputs), sums);
            tensor.settle_at(Some(top.saturating_sub(below.into())));
            tensor.before(self.strategy, sums, first as u32);
            let codes = codes.part(first, inputs);
            let first = first as u32;
            tensor.emit(self.kernel, self.strategy, sums, first, codes, mask, first);
        }
        tensor.settle_at(Some(top));
        tensor.finish()
    }

    fn none(&self, exponent: i16) -> Passed {
        Passed { state: RangeState::NEW, exponent, clipped: false }
    }
}
