//! Gradient sums of a batch that comes in micro-batches.

use super::{
    engine::{At, Engine},
    forward::pieces,
    gradients::Block,
    point::Sums,
    update::Which,
};
use crate::{
    graph::pick,
    kernel::Kernel,
    layer::{Operator, operate},
    quant::{Format, Overflow, Round, exponent_of, requantize},
    strategy::Strategy,
    tensor::MantissasMut,
    uses::{Part, Uses},
};

/// Bits of the codes whose grid sums of 16 bits lie on: one less, because a sum may outgrow the bound.
const SHORT_BITS: u8 = 15;

impl<'e, K: Kernel, S: Strategy, U: Uses> Engine<'e, K, S, U> {
    /// Adds the gradients of a micro-batch to the sums of the step. Where a range rule looked at
    /// the micro-batch alone its unit may differ from the first one's, and is brought to that.
    #[inline(never)]
    pub(super) fn add_up(&mut self, at: At<'e>, count: usize, exponents: [i16; 2]) {
        let short = self.has_short_sums();
        if self.first_part {
            let units = if short { self.short_units(at, exponents) } else { exponents };
            let Some(now) = self.exponents.get_mut(at.i) else { return };
            now.sums = units;
        }
        let Some([weights, biases]) = self.exponents.get(at.i).map(|now| now.sums) else { return };
        let (plan, depth) = (at.plan, at.plan.way.depth as usize);
        let (first, units) = at.moving::<U>(Which::Weight);
        let mut whole = weights == exponents[0] && !short;
        operate!(plan.way.kind, U, layer => whole &= layer.adds(self.kernel));
        let (rows, cols) = if whole {
            (units.max(1), depth.max(1))
        } else {
            (plan.way.weight_rows.into(), plan.way.weight_cols as usize)
        };
        for (unit, rows) in pieces(units, rows) {
            for (col, cols) in pieces(depth, cols) {
                let block = Block { unit: first + unit, rows, col, cols };
                if whole {
                    self.block_sums(at, count, &plan.weight.sum, &block, true);
                    continue;
                }
                let part = plan.backward_tile.first(rows * cols);
                self.block_sums(at, count, &part, &block, false);
                let [part, mut sums] = pick(self.memory, [&part, &plan.weight.sum]);
                let MantissasMut::I32(part) = part else { return };
                let left = i32::from(exponents[0]) - i32::from(weights);
                for (row, part) in (unit..).zip(part.chunks(cols.max(1))) {
                    add_shifted::<U>(sums.part(row * depth + col, part.len()), part, left);
                }
            }
        }
        let row = self.shared.row.first(plan.bias.master.len as usize);
        self.bias_sums(at, count, &row);
        if let [sums, MantissasMut::I32(part)] = pick(self.memory, [&plan.bias.sum, &row]) {
            let part = part.get(at.moving::<U>(Which::Bias).0..).unwrap_or_default();
            add_shifted::<U>(sums, part, i32::from(exponents[1]) - i32::from(biases));
        }
    }

    /// Whether sums have 16 bits.
    fn has_short_sums(&self) -> bool {
        U::uses(Part::ShortSums) && self.train.has_short_sums()
    }

    /// Exponents of sums of 16 bits: of the grid of the bounds that the gradients have in this step, which
    /// are known before. In the first step they are guessed from the units of the first micro-batch.
    fn short_units(&self, at: At<'e>, exponents: [i16; 2]) -> [i16; 2] {
        [Which::Weight, Which::Bias].map(|which| {
            let param = self.param(at, which, which.choose(exponents));
            exponent_of(self.grad_pass(&param).settle(&[]), SHORT_BITS)
        })
    }

    /// At the end of a step whose batch came in parts.
    pub(crate) fn apply_sums(&mut self) {
        let short = self.has_short_sums();
        for i in 0..self.plan.len() {
            let (Some(at), Some(now)) = (self.at(i), self.exponents.get(i)) else { return };
            let exponents = now.sums;
            for which in [Which::Bias, Which::Weight] {
                let exponent = which.choose(exponents);
                let mut param = self.param(at, which, exponent);
                if param.plan.sum.len == 0 {
                    continue;
                }
                if short {
                    // The bound, where it is a guess, is the one that the unit was made from.
                    param.sums = Sums { exponent, bits: SHORT_BITS, slack: 1 };
                    self.descend_in_pieces(&param);
                } else {
                    self.descend_at_once(&param, &param.plan.sum);
                }
            }
        }
    }

    /// Sets the gradient sums to zero.
    pub(crate) fn clear_sums(&mut self) {
        for plan in self.plan {
            for region in [&plan.weight.sum, &plan.bias.sum] {
                match pick(self.memory, [region]) {
                    [MantissasMut::I32(sums)] => sums.fill(0),
                    [MantissasMut::I16(sums)] if U::uses(Part::ShortSums) => sums.fill(0),
                    _ => {}
                }
            }
        }
    }
}

/// Adds `part * 2^left`, rounded to nearest and saturating.
#[inline(always)]
fn add_shifted<U: Uses>(sums: MantissasMut<'_>, part: &[i32], left: i32) {
    match sums {
        MantissasMut::I32(sums) => add_long(sums, part, left),
        MantissasMut::I16(sums) if U::uses(Part::ShortSums) => add_short(sums, part, left),
        _ => {}
    }
}

fn add_long(sums: &mut [i32], part: &[i32], left: i32) {
    for (sum, &value) in sums.iter_mut().zip(part) {
        *sum = sum.saturating_add(shifted(value, left));
    }
}

#[inline(never)]
fn add_short(sums: &mut [i16], part: &[i32], left: i32) {
    let add = |sum: &mut i16, value: i32| {
        let added = i32::from(*sum).saturating_add(value);
        *sum = added.clamp(i16::MIN.into(), i16::MAX.into()) as i16;
    };
    match left.saturating_neg() {
        // Sums of gradients stay within 2^30, and half a unit within 2^29: nothing wraps.
        right @ 1..=30 => {
            let half = 1i32 << (right - 1);
            for (sum, &value) in sums.iter_mut().zip(part) {
                add(sum, value.wrapping_add(half) >> right);
            }
        }
        _ => {
            for (sum, &value) in sums.iter_mut().zip(part) {
                add(sum, shifted(value, left));
            }
        }
    }
}

fn shifted(value: i32, left: i32) -> i32 {
    const FORMAT: Format = Format { bits: 31, round: Round::Rnd, overflow: Overflow::Sat };
    if left == 0 {
        return value;
    }
    requantize(i64::from(value), left.saturating_neg(), FORMAT, 0).value
}

#[cfg(test)]
mod tests {
    use std::{vec, vec::Vec};

    use crate::{prelude::*, tensor::Width, trainer::Tensor};

    const NET: Graph<3> = Graph::input([6, 1, 1]).dense("fc", 5);
    const BATCH: u16 = 8;

    /// What comes to the point of the weight gradient: number, value, exponent.
    #[derive(Default)]
    struct Seen(Vec<(u32, i32, i16)>);

    impl Strategy for &mut Seen {
        fn active(&self, _: u8, place: Place) -> bool {
            place == Place::WeightGrad
        }
        fn pre_weight_grad(&mut self, context: &Context, tile: &mut Tile<'_>) {
            let values = (tile.first..).zip(&*tile.values);
            let values = values.map(|(i, &value)| (i, value, tile.exponent));
            if !context.bias {
                self.0.extend(values);
            }
        }
    }

    fn moving() -> Range {
        Range::Moving { window: 4, percentile: 10_000 }
    }

    /// Weights stay as they are, and all but weight gradients is rounded to nearest on fixed grids.
    fn config(range: Range, train: Train) -> Config<3> {
        let mut layer = LayerConfig::tiny();
        let fixed = Quant::new(8).range(Range::Fixed(1));
        (layer.activation, layer.activation_grad) = (Some(Point::new(fixed)), Some(fixed));
        (layer.weight_grad.range, layer.bias_grad.range) = (range, range);
        Config::uniform(NET.view(), layer, train)
    }

    fn train(batch: u16, sums: Width) -> Train {
        Train {
            micro_batch: 1,
            sums,
            lr: Lr::ZERO,
            loss: LossKind::Mse,
            ..Train::new(batch, Lr::ZERO)
        }
    }

    /// Samples and targets: small ones, or large.
    fn data(loud: bool) -> (Vec<i8>, Vec<i16>) {
        let numbers = |salt: u64| (0..).map(move |i| crate::rng::Key::new(salt).below(i, 255));
        let (inputs, outputs) = (6 * usize::from(BATCH), 5 * usize::from(BATCH));
        let (small, by) = if loud { (1, 200) } else { (32, 1) };
        let x = numbers(1).map(|n| ((n as i32 - 127) / small) as i8).take(inputs).collect();
        let y = numbers(2).map(|n| (n as i16 - 127) * by).take(outputs).collect();
        (x, y)
    }

    fn samples(x: &[i8]) -> Samples<'_> {
        Samples { data: SampleData::I8(x), exponent: -7 }
    }

    fn targets(y: &[i16]) -> Targets<'_> {
        Targets::Values { mantissas: y, exponent: -14 }
    }

    /// Exact gradients of single samples, as many trainers of one sample see them.
    fn exact(x: &[i8], y: &[i16]) -> Vec<Vec<(u32, i32, i16)>> {
        let config = config(Range::Fixed(0), Train { seed: 0, ..train(1, Width::I32) });
        let one = |(x, y): (&[i8], &[i16])| {
            let (mut seen, mut arena) = (Seen::default(), Arena::<4000>::new());
            let memory = arena.as_mut_slice();
            let mut trainer = Trainer::new(&NET, &config, memory, Scalar, &mut seen).unwrap();
            trainer.step(samples(x), targets(y)).unwrap();
            seen.0.sort_unstable();
            seen.0
        };
        x.chunks(6).zip(y.chunks(5)).map(one).collect()
    }

    /// The definition, in floating point, which is exact here.
    fn expected(exact: &[Vec<(u32, i32, i16)>], bound: i16) -> Vec<(u32, i32, i16)> {
        let unit = bound - 14;
        let sum = |i: usize| {
            exact.iter().fold(0.0, |sum, gradient| {
                let (_, value, exponent) = gradient[i];
                let part = f64::from(value) * f64::from(exponent - unit).exp2();
                (sum + (part + 0.5).floor()).clamp(-32768.0, 32767.0)
            })
        };
        (0..30).map(|i| (i as u32, sum(i) as i32, unit)).collect()
    }

    #[test]
    fn short_sums_are_those_of_the_definition() {
        let (x, y) = data(true);
        let exact = exact(&x, &y);
        let mut full = 0;
        for bound in [-9, -3, 2, 5, 20] {
            let config = config(Range::Fixed(bound), train(BATCH, Width::I16));
            let (mut seen, mut arena) = (Seen::default(), Arena::<4000>::new());
            let memory = arena.as_mut_slice();
            let mut trainer = Trainer::new(&NET, &config, memory, Scalar, &mut seen).unwrap();
            assert!(!trainer.plan().exact_micro_batches());
            trainer.step(samples(&x), targets(&y)).unwrap();
            assert_eq!(seen.0, expected(&exact, bound), "{bound}");
            full += seen.0.iter().filter(|(_, sum, _)| [-32768, 32767].contains(sum)).count();
        }
        assert!(full > 0, "some are cut");
    }

    #[test]
    fn the_grid_is_that_of_the_bound_that_earlier_steps_left() {
        let config = config(moving(), train(BATCH, Width::I16));
        let (mut seen, mut arena) = (Seen::default(), Arena::<4000>::new());
        let memory = arena.as_mut_slice();
        let mut trainer = Trainer::new(&NET, &config, memory, Scalar, &mut seen).unwrap();
        let mut bounds = vec![];
        for step in 0..16 {
            let (x, y) = data(step >= 2);
            trainer.step(samples(&x), targets(&y)).unwrap();
            bounds
                .push(trainer.states().nth(1).unwrap().range(Tensor::WeightGrad).bound().unwrap());
        }
        let mut steps = seen.0.chunks(30);
        // The first bound is a guess, and the sums show it.
        let guess = steps.next().unwrap()[0].2 + 14;
        for (i, (step, bound)) in steps.zip(&bounds).enumerate() {
            let (x, y) = data(i >= 1);
            assert_eq!(step, expected(&exact(&x, &y), *bound), "step {}", i + 1);
        }
        // Where sums are cut, the bound rises at once, an octave a step, until none is.
        let loud = &bounds[2..];
        assert!(guess > bounds[0] && bounds[0] < bounds[3], "{guess} {bounds:?}");
        assert!(loud[0] > bounds[1] && loud.is_sorted(), "{bounds:?}");
        let (x, y) = data(true);
        let peak = |sums: &[(u32, i32, i16)]| sums.iter().map(|s| s.1.abs()).max().unwrap();
        let last = peak(&expected(&exact(&x, &y), bounds[15]));
        assert!((8192..=16384).contains(&last), "{last} {bounds:?}");
    }
}
