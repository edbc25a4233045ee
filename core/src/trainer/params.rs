//! From master weights to the codes that the multiplication sees.

use super::{
    engine::{At, Engine, Mode},
    forward::pieces,
    mask::Mask,
    point::{Passed, Sums, widen},
    state::Tensor,
};
use crate::{
    config::Master,
    graph::{LayerPlan, ParamPlan, pick},
    kernel::Kernel,
    quant::{Observe, Point, Quant, Range, sweep},
    strategy::Strategy,
    tensor::{MantissasMut, Source},
    uses::{Part, Uses},
};

impl<'e, K: Kernel, S: Strategy, U: Uses> Engine<'e, K, S, U> {
    /// Quantises all parameters for this step, or for inference. Not inlined, as [`forward`](Self::forward).
    #[inline(never)]
    pub(crate) fn prepare(&mut self) {
        for i in 0..self.plan.len() {
            let Some(at) = self.at(i) else { return };
            let At { plan, config, .. } = at;
            if plan.weight.master.len == 0 {
                continue;
            }
            let sums = Self::master_sums(config.master);
            let [weights_stored, biases_stored] = self.stored_params(at);
            let weights = if let Some(weights) = weights_stored {
                weights
            } else if U::uses(Part::Channels) && plan.spread > 0 {
                self.prepare_channels(i, &config.weight, sums)
            } else {
                self.prepare_param(i, Tensor::Weight, &plan.weight, &config.weight, sums)
            };
            let sums = Self::master_sums(config.bias_master);
            let biases = match biases_stored {
                Some(biases) => biases,
                None => self.prepare_param(i, Tensor::Bias, &plan.bias, &config.bias, sums),
            };
            // Inference between two micro-batches of a step has the parameters quantised once more
            // for the second: the step counts them once.
            if self.first_part {
                self.keep(i, Tensor::Weight, &weights);
                self.keep(i, Tensor::Bias, &biases);
            }
            let train = self.mode == Mode::Train;
            if let Some(now) = self.exponents.get_mut(i) {
                now.weight = weights.exponent;
                now.bias = biases.exponent;
                now.bias_limit = biases.limit;
                if train {
                    now.params_clipped = [weights.clipped(), biases.clipped()];
                }
            }
        }
    }

    /// Says what the master weights can be. Those of the first step fill a part of that only.
    fn master_sums(master: Master) -> Sums {
        let bits = master.width.bits() - 1;
        Sums { exponent: master.exponent(), bits, slack: bits / 4 }
    }

    /// The mask of a parameter, all ones. The update reads what training left in it, so inference
    /// has none.
    fn fresh_mask(mode: Mode, mask: &mut [i8]) -> &mut [u8] {
        let mask: &mut [u8] = bytemuck::cast_slice_mut(mask);
        match mode {
            Mode::Train => {
                mask.fill(0xff);
                mask
            }
            Mode::Infer => &mut [],
        }
    }

    fn quant_of(&self, point: &'e Point) -> &'e Quant {
        if self.mode == Mode::Train { &point.train } else { &point.infer }
    }

    fn prepare_param(
        &mut self,
        layer: usize,
        tensor: Tensor,
        plan: &ParamPlan,
        point: &'e Point,
        sums: Sums,
    ) -> Passed {
        let (quant, mode) = (self.quant_of(point), self.mode);
        let row = plan.master.len as usize;
        let mut pass = self.pass(layer, tensor, quant, sums, row);
        if !U::uses(Part::Codes) || plan.codes == plan.master {
            // The codes are the master: nothing moves, and the bound is the master's.
            pass.settle(&[]);
            return Passed { exponent: sums.exponent, ..pass.finish() };
        }
        let regions = [&self.shared.scratch, &plan.master, &plan.codes, &plan.pass];
        let [scratch, master, mut codes, mask] = pick(self.memory, regions);
        let (MantissasMut::I32(scratch), MantissasMut::I8(mask)) = (scratch, mask) else {
            return pass.finish();
        };
        let mask = Self::fresh_mask(mode, mask);
        let master = master.as_ref();
        let count = master.len();
        if pass.is_direct() {
            let source = Source::from(master);
            pass.look(self.kernel, source);
            pass.settle(&[]);
            pass.emit(self.kernel, self.strategy, source, 0, codes, Mask { bits: mask, first: 0 });
            return pass.finish();
        }
        // Where the plan gave the whole tensor room, hooks see it in one piece and before the
        // range rule does; otherwise the rule takes a first walk over the master.
        let piece = scratch.len().max(1);
        let whole = piece >= count;
        if pass.is_whole() && !whole {
            for (from, len) in pieces(count, piece) {
                let part = master.part(from, len);
                let sums = scratch.get_mut(..part.len()).unwrap_or_default();
                widen(part, sums);
                pass.look(self.kernel, (&*sums).into());
            }
            pass.settle(&[]);
        }
        for (from, len) in pieces(count, piece) {
            let part = master.part(from, len);
            let sums = scratch.get_mut(..part.len()).unwrap_or_default();
            widen(part, sums);
            pass.before(self.strategy, sums, from as u32);
            if whole || !pass.is_whole() {
                pass.look(self.kernel, (&*sums).into());
                pass.settle(sums);
            }
            let codes = codes.part(from, sums.len());
            let first = from as u32;
            let mask = Mask { bits: &mut *mask, first };
            pass.emit(self.kernel, self.strategy, (&*sums).into(), first, codes, mask);
        }
        pass.finish()
    }

    /// Weights with a bound for every output channel: the tensor's bound is the largest, and
    /// every channel remembers how far below it lies.
    fn prepare_channels(&mut self, layer: usize, point: &'e Point, known: Sums) -> Passed {
        let (quant, mode) = (self.quant_of(point), self.mode);
        let Sums { exponent, bits, .. } = known;
        let plan = self.plan.get(layer).unwrap_or(&LayerPlan::NONE);
        let regions = [
            &self.shared.scratch,
            &plan.weight.master,
            &plan.weight.codes,
            &plan.weight.pass,
            &plan.channels,
            &plan.channels_now,
        ];
        let inputs = (plan.weight.master.len / plan.channels.len.max(1)) as usize;
        let mut tensor = self.pass(layer, Tensor::Weight, quant, known, inputs);
        let keep = quant.range == Range::Keep && tensor.previous.is_some();
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
        let mask = Self::fresh_mask(mode, mask);
        let master = master.as_ref();
        let sums = scratch.get_mut(..inputs).unwrap_or_default();
        let row_bound = |sums: &mut [i32], row: usize| {
            widen(master.part(row * inputs, inputs), sums);
            let mut observer = U::Observer::start(quant.range, bits.into(), inputs);
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
            if mode == Mode::Train {
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
            let mask = Mask { bits: &mut *mask, first };
            tensor.emit(self.kernel, self.strategy, (&*sums).into(), first, codes, mask);
        }
        tensor.settle_at(Some(top));
        tensor.finish()
    }
}

#[cfg(test)]
mod tests {
    use crate::{config::Update, prelude::*, quant::Point, trainer::Tensor};

    const NET: Graph<4> = Graph::input([6, 1, 1]).dense("fc1", 8).relu().dense("fc2", 3);

    /// Two micro-batches of a step, with or without inference after each.
    fn step(infer: bool) -> (std::vec::Vec<u8>, std::vec::Vec<crate::quant::RangeState>) {
        let mut layer = LayerConfig::new(8);
        // Training clips most weights, inference none.
        layer.weight.train.range = Range::Fixed(-3);
        layer.weight.infer.range = Range::Fixed(1);
        layer.bias = Point::new(Quant::new(8));
        let train = Train { micro_batch: 2, ..Train::new(4, Lr::ratio(1, 2)) };
        let config = Config::uniform(NET.view(), layer, train);
        let mut arena = Arena::<20_000>::new();
        let mut trainer = Trainer::new(&NET, &config, arena.as_mut_slice(), Scalar, ()).unwrap();
        let data: std::vec::Vec<i8> = (0..12).map(|i| (i * 37 % 101 - 50) as i8).collect();
        let samples = Samples { data: SampleData::I8(&data), exponent: -6 };
        for _ in 0..3 {
            for classes in [[0, 1], [2, 1]] {
                trainer.accumulate(samples, Targets::Classes(&classes)).unwrap();
                if infer {
                    trainer.infer(samples).unwrap();
                }
            }
            trainer.update().unwrap();
        }
        let ranges = trainer.states().flat_map(|s| Tensor::ALL.map(|t| *s.range(t)));
        (trainer.persistent().to_vec(), ranges.collect())
    }

    #[test]
    fn inference_within_a_step_leaves_no_trace() {
        assert_eq!(step(true), step(false));
    }

    #[test]
    fn a_range_rule_sees_the_gradients_that_move() {
        let net: Graph<2> = Graph::input([4, 1, 1]).dense("fc", 4);
        let looking = |percentile| {
            let layer = LayerConfig::tiny();
            let mut config = Config::uniform(net.view(), layer, Train::new(4, Lr::ratio(1, 2)));
            let range = Range::Moving { window: 4, percentile };
            let layer = &mut config.layers[1];
            layer.update = Update::Channels { first: 1, count: 2 };
            (layer.weight_grad.range, layer.bias_grad.range) = (range, range);
            let mut arena = Arena::<4_000>::new();
            let memory = arena.as_mut_slice();
            let mut trainer = Trainer::new(&net, &config, memory, Scalar, ()).unwrap();
            let data: [i8; 16] = core::array::from_fn(|i| (i * 37 % 101) as i8 - 50);
            let samples = Samples { data: SampleData::I8(&data), exponent: -6 };
            for _ in 0..3 {
                trainer.step(samples, Targets::Classes(&[0, 1, 2, 3])).unwrap();
            }
            let state = trainer.states().nth(1).unwrap();
            let bounds = [Tensor::WeightGrad, Tensor::BiasGrad].map(|t| state.range(t).bound());
            (bounds, trainer.persistent().to_vec())
        };
        // Of so few numbers both are the largest one's.
        assert_eq!(looking(9_990), looking(10_000));
    }
}
