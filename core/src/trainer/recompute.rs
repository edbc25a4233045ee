//! Activations that were forgotten are made again on the way back. They have the bits that they had:
//! statistics, bound and random numbers of the step are still known, and nothing is noted twice.

use super::{
    engine::{At, Engine},
    forward::pieces,
    norm::norm_of,
    samples::{SampleData, Samples},
    state::Tensor,
};
use crate::{
    graph::Region,
    kernel::Kernel,
    strategy::Strategy,
    uses::{Part, Uses},
};

impl<'e, K: Kernel, S: Strategy, U: Uses> Engine<'e, K, S, U> {
    /// Makes what a layer read again, where it is the first to ask for it on the way back: the last of
    /// its readers.
    #[inline(always)]
    pub(super) fn recompute(&mut self, reader: At<'e>, count: usize, base: u32) {
        if U::uses(Part::Recompute) {
            self.make_again(reader, count, base);
        }
    }

    // Not inlined, so that its frame is not under the rest of the way back.
    #[inline(never)]
    fn make_again(&mut self, reader: At<'e>, count: usize, base: u32) {
        let way = &reader.plan.way;
        let inputs = if way.joins() { &[way.input, way.other][..] } else { &[way.input] };
        for of in inputs.iter().map(|&of| usize::from(of)) {
            let Some(holder) = self.plan.get(of).and_then(|plan| self.at(plan.output.into()))
            else {
                return;
            };
            let mut later = self.plan.iter().skip(reader.i + 1);
            let again =
                holder.plan.left.is_recomputed() && norm_of::<U>(&holder.plan.way).is_some();
            if again && !later.any(|plan| plan.way.reads(of)) {
                self.norm_again(holder, of, count, base);
            }
        }
    }

    /// The output of a layer that normalises, and what layers up to `last` made of it in its place.
    #[inline(never)]
    fn norm_again(&mut self, at: At<'e>, last: usize, count: usize, base: u32) {
        let (plan, numbers) = (at.plan, at.outputs());
        let Some(point) = &at.config.activation else { return };
        let exponent = self.exponents.get(at.i).map_or(0, |now| now.output);
        let sums = self.norm_unit(at);
        self.align_bias(at, sums.exponent);
        self.norm_offsets(at);
        let mut pass = self.pass(at.i, Tensor::Activation, &point.train, sums, numbers);
        pass.settle_to(exponent);
        let base = base.wrapping_mul(numbers as u32);
        let nothing = Samples { data: SampleData::I8(&[]), exponent: 0 };
        let (rows, row) = (count * plan.way.rows as usize, usize::from(plan.way.channels));
        // Places beside it were found for the way up.
        let tile = &self.shared.scratch;
        for (from, rows) in pieces(rows, tile.len as usize / row.max(1)) {
            let tile = tile.first(rows * row);
            self.forward_sums(at, nothing, &tile, from..from + rows, count);
            // What was clipped is known.
            let codes = [&plan.activation, &Region::NONE];
            self.emit_tile(&mut pass, &tile, codes, from * row, base);
        }
        for i in at.i + 1..=last {
            if let Some(above) = self.at(i).filter(|above| usize::from(above.plan.output) == at.i) {
                self.forward_in_place(above, count);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{vec, vec::Vec};

    use crate::{
        graph::{Conv2d, Graph},
        prelude::*,
        strategy::{Amount, Configured, LayerSet, Noise, Place, StrategyConfig, StrategyKind},
    };

    const NET: Graph<12> = Graph::input([2, 8, 8])
        .conv2d("conv1", Conv2d::new(8, 3).same())
        .batch_norm()
        .relu()
        .conv2d("conv2", Conv2d::new(8, 3).same())
        .batch_norm()
        .relu()
        .conv2d("conv3", Conv2d::new(8, 3).same())
        .batch_norm()
        .add("relu3")
        .global_avg_pool()
        .dense("fc", 3);

    /// Parameters after three steps, the bytes that the arena takes, and how many layers forget.
    fn train<S: Strategy>(
        train: Train,
        layer: LayerConfig,
        strategy: S,
    ) -> (Vec<u8>, usize, usize) {
        let config = Config::uniform(NET.view(), layer, train);
        let plan = Trainer::<12, Scalar, S>::plan_for(&NET, &config, &strategy, 0).unwrap();
        let mut memory = vec![0u32; plan.ram().div_ceil(4)];
        let memory = bytemuck::cast_slice_mut(&mut memory);
        let mut trainer = Trainer::new(&NET, &config, memory, Scalar, strategy).unwrap();
        let data: Vec<u8> = (0..8 * 128u32).map(|i| (i * i * 31 / 32) as u8).collect();
        for _ in 0..3 {
            let samples = Samples { data: SampleData::U8(&data), exponent: -8 };
            trainer.step(samples, Targets::Classes(&[0, 1, 2, 0, 1, 2, 0, 1])).unwrap();
        }
        let forgotten = plan.layers().iter().filter(|plan| plan.left.is_recomputed()).count();
        (trainer.persistent().to_vec(), plan.ram(), forgotten)
    }

    #[test]
    fn what_is_made_again_has_the_bits_that_it_had() {
        let run = Train { momentum: 29_491, ..Train::new(8, Lr::ratio(1, 4)) };
        let mut stochastic = LayerConfig::new(8);
        if let Some(point) = &mut stochastic.activation {
            point.train.round = Round::Stochastic;
        }
        let binary = LayerConfig { activation: LayerConfig::new(1).activation, ..stochastic };
        for micro_batch in [8, 2] {
            for layer in [LayerConfig::tiny(), LayerConfig::new(8), stochastic, binary] {
                let [kept, again] = [false, true]
                    .map(|recompute| train(Train { micro_batch, recompute, ..run }, layer, ()));
                assert_eq!((kept.2, again.2), (0, 2));
                assert_eq!(kept.0, again.0);
                assert!(again.1 < kept.1, "{} {}", again.1, kept.1);
            }
        }
    }

    #[test]
    fn what_a_strategy_works_on_is_kept() {
        let amount = Amount::UniformSteps { low: -128, high: 128 };
        let noise = Noise { pre: amount, post: Amount::None, requantize: false };
        let kind = StrategyKind::Noise(Place::Activation, noise);
        let strategies = [StrategyConfig { layers: LayerSet::ALL, kind }];
        let run = Train::new(8, Lr::ratio(1, 4));
        let [kept, again] = [false, true].map(|recompute| {
            let train_with = Train { recompute, ..run };
            train(train_with, LayerConfig::new(8), Configured(&strategies))
        });
        assert_eq!(again.2, 0);
        assert_eq!(kept, again);
    }
}
