//! Layers that go through time, forward: step by step, all samples of a tile together.
//!
//! The way back is in [`back`], the gradient of the weights in [`grads`], and the bound of the gates'
//! gradients in [`bound`].

mod back;
mod bound;
mod grads;

use core::ops::Range;

use super::{
    engine::{At, Engine},
    forward::pieces,
    point::{Sums, grid},
};
use crate::{
    graph::{Kind, LayerPlan, Memories, Region, STEP_SUMS, Way, hidden_width, pick},
    kernel::Kernel,
    layer::{CURVE_EXPONENT, Lstm, STATE_EXPONENT, Tag, Unit, product, shifted, step},
    quant::{Format, Overflow, Round, requantize_word},
    strategy::Strategy,
    tensor::{Mantissas, MantissasMut, Matrix, Width},
    uses::Uses,
};

/// The settings of a layer that goes through time, where such layers are linked.
#[inline(always)]
pub(super) fn lstm_of<U: Uses>(way: &Way) -> Option<Lstm> {
    match way.kind {
        Kind::Lstm(lstm) if U::links(Tag::Lstm) => Some(lstm),
        _ => None,
    }
}

/// Biases at the first step: those of forget gates, the second quarter, are one (Jozefowicz, Zaremba and
/// Sutskever 2015).
pub(super) fn init_forget_gates(mut biases: MantissasMut<'_>, one: u32) {
    let units = biases.as_ref().len() / 4;
    (units..2 * units).for_each(|at| biases.set(at, one.cast_signed()));
}

/// All that is fixed about a layer in its steps.
#[derive(Clone, Copy)]
struct Time {
    lstm: Lstm,
    units: usize,
    features: usize,
    steps: usize,
    /// Steps of which something is kept.
    slots: usize,
    memories: Memories,
}

impl Time {
    fn of(at: At<'_>, lstm: Lstm, samples: u16) -> Self {
        let (features, steps) = Lstm::line(at.plan.way.from);
        let units = usize::from(lstm.units);
        let slots = if at.plan.aligned_grad.len > 0 { steps } else { 1 };
        let cells = usize::from(samples) * slots * units;
        let memories = Memories::of(at.plan.memo, cells, hidden_of(at));
        Self { lstm, units, features, steps, slots, memories }
    }

    /// Where the numbers of a step lie, for each unit of all samples and kept steps; later steps share
    /// the last place.
    fn place(&self, sample: usize, step: usize) -> usize {
        (sample * self.slots + step.min(self.slots.saturating_sub(1))) * self.units
    }

    fn gates(&self) -> usize {
        4 * self.units
    }
}

/// Storage of the hidden states of a layer.
fn hidden_of(at: At<'_>) -> Width {
    at.config.activation.map_or(Width::I8, hidden_width)
}

/// The exponent of hidden states: codes that end at one.
fn hidden_exponent(width: Width) -> i16 {
    1 - i16::from(width.bits())
}

/// Samples that take a step together.
#[derive(Clone, Copy)]
struct Group {
    first: usize,
    count: usize,
    /// The first of the tile.
    tile: usize,
}

/// How the sums of both products of a gate meet.
#[derive(Clone, Copy)]
struct Meeting {
    /// How far those of the input go to the left, and those of the hidden state.
    left: [i32; 2],
    exponent: i16,
}

impl<'e, K: Kernel, S: Strategy, U: Uses> Engine<'e, K, S, U> {
    /// What is known of outputs.
    pub(super) const LSTM_SUMS: Sums = Sums { exponent: CURVE_EXPONENT, bits: 15, slack: 0 };

    /// The exponent of what goes into gates, which biases are brought to.
    pub(super) fn gate_exponent(&self, at: At<'_>) -> i16 {
        self.meeting(at).exponent
    }

    fn meeting(&self, at: At<'_>) -> Meeting {
        let weight = self.exponents.get(at.i).map_or(0, |now| now.weight);
        let (sum, hidden) = (at.plan.forward, hidden_exponent(hidden_of(at)));
        let exponents = [self.input_exponent(at.plan), hidden];
        let exponents = exponents.map(|codes| grid(codes, weight, sum.drop.into()));
        let unit = exponents.iter().fold(Unit::NONE, |unit, &part| unit.and(part, sum.kept()));
        Meeting { left: exponents.map(|part| unit.left(part)), exponent: unit.exponent() }
    }

    /// The outputs of some rows, which are whole samples, into a tile.
    #[inline(never)]
    pub(super) fn lstm_forward(
        &mut self,
        at: At<'e>,
        lstm: Lstm,
        tile: &Region,
        rows: Range<usize>,
    ) {
        let time = Time::of(at, lstm, self.train.micro_batch);
        let meeting = self.meeting(at);
        let each = (at.plan.way.rows as usize).max(1);
        let (first, count) = (rows.start / each, rows.len() / each);
        for (from, count) in pieces(count, room(at.plan, &time)) {
            let group = Group { first: first + from, count, tile: from };
            for step in 0..time.steps {
                self.lstm_products(at, &time, group, step);
                self.lstm_step(at, &time, group, step, meeting, tile);
            }
        }
    }

    /// The products of a step: those of the input, and behind them those of the hidden state.
    #[inline(never)]
    fn lstm_products(&mut self, at: At<'e>, time: &Time, group: Group, step: usize) {
        let (plan, Time { units, features, steps, .. }) = (at.plan, *time);
        let input = self.input_region(plan);
        let hidden = &time.memories.hidden;
        let regions = [&plan.channels_now, &plan.weight.codes, input, hidden];
        let [work, weight, x, hidden] = pick(self.memory, regions);
        let MantissasMut::I32(work) = work else { return };
        let x = if input.len == 0 { Mantissas::I8(self.samples) } else { U::codes(x.as_ref()) };
        let (weight, hidden) = (U::codes(weight.as_ref()), U::codes(hidden.as_ref()));
        let (gates, depth, drop) = (time.gates(), plan.way.depth as usize, plan.forward.drop);
        let columns = |from, len| Matrix::columns(weight, gates, depth, from, len).t();
        let sums = group.count * gates;
        let (of_input, rest) = work.split_at_mut_checked(sums).unwrap_or_default();
        let rows = samples_of(x, (group.first * steps + step) * features, steps, features, group);
        product::<K, U>(self.kernel, rows, columns(0, features), drop, false, of_input);
        // Nothing comes from before the first step.
        if step > 0 {
            let of_hidden = rest.get_mut(..sums).unwrap_or_default();
            let place = time.place(group.first, step);
            let rows = samples_of(hidden, place, time.slots, units, group);
            product::<K, U>(self.kernel, rows, columns(features, units), drop, false, of_hidden);
        }
    }

    /// From sums to gates, states and outputs.
    #[inline(never)]
    fn lstm_step(
        &mut self,
        at: At<'e>,
        time: &Time,
        group: Group,
        now: usize,
        meeting: Meeting,
        tile: &Region,
    ) {
        let Time { units, steps, memories, .. } = *time;
        let regions = [
            &at.plan.channels_now,
            &self.shared.row,
            tile,
            &memories.states,
            &memories.gates,
            &memories.hidden,
        ];
        let [work, biases, outputs, states, gates, mut hidden] = pick(self.memory, regions);
        let (MantissasMut::I32(work), MantissasMut::I32(biases)) = (work, biases) else { return };
        let MantissasMut::I32(outputs) = outputs else { return };
        let (MantissasMut::I16(states), MantissasMut::I8(kept)) = (states, gates) else { return };
        let of_hidden = group.count * time.gates();
        let format = Format { bits: 16, round: Round::Rnd, overflow: Overflow::Sat };
        let right = i32::from(STATE_EXPONENT) - i32::from(meeting.exponent);
        let narrow = 16 - u32::from(hidden_of(at).bits());
        let get = |row: &[i32], at: usize| row.get(at).copied().unwrap_or(0);
        for s in 0..group.count {
            let (before, here) = match now.checked_sub(1) {
                Some(last) => (Some(time.place(group.first + s, last)), now),
                None => (None, 0),
            };
            let here = time.place(group.first + s, here);
            let next = (now + 1 < steps).then(|| time.place(group.first + s, now + 1));
            let output = match (time.lstm.is_last(), next) {
                (true, Some(_)) => None,
                (true, None) => Some((group.tile + s) * units),
                (false, _) => Some(((group.tile + s) * steps + now) * units),
            };
            for u in 0..units {
                let sums = [0, 1, 2, 3].map(|gate| {
                    let (row, column) = (s * 4 + gate, gate * units + u);
                    let place = row * units + u;
                    let [left, hidden_left] = meeting.left;
                    let mut sum = shifted(get(work, place), left);
                    if before.is_some() {
                        let more = shifted(get(work, of_hidden + place), hidden_left);
                        sum = sum.wrapping_add(more);
                    }
                    // Both are within 2^30.
                    let sum = sum.wrapping_add(get(biases, column));
                    requantize_word(sum, right, format, 0).value
                });
                let state = before.and_then(|at| states.get(at + u)).copied().unwrap_or(0);
                let made = step(sums, state.into());
                if let Some(place) = states.get_mut(here + u) {
                    *place = made.state;
                }
                for (gate, byte) in made.gates.into_iter().enumerate() {
                    if let Some(place) = kept.get_mut(4 * here + gate * units + u) {
                        *place = byte;
                    }
                }
                if before.is_none() {
                    hidden.set(here + u, 0);
                }
                if let Some(next) = next {
                    // To nearest, halves up; one itself has no code.
                    let half = (1 << narrow) >> 1;
                    hidden.set(next + u, (made.output + half) >> narrow);
                }
                if let Some(place) = output.and_then(|at| outputs.get_mut(at + u)) {
                    *place = made.output;
                }
            }
        }
    }
}

/// Samples for which there is room to take a step together.
fn room(plan: &LayerPlan, time: &Time) -> usize {
    let each = (STEP_SUMS * time.units).max(1);
    (plan.channels_now.len as usize / each).max(1)
}

/// A row for every sample of a group, of numbers that lie `steps` rows apart.
fn samples_of(
    data: Mantissas<'_>,
    first: usize,
    steps: usize,
    numbers: usize,
    group: Group,
) -> Matrix<'_> {
    let stride = steps * numbers;
    let len = group.count.saturating_sub(1) * stride + numbers;
    let data = data.part(first, len);
    Matrix { data, rows: group.count, cols: numbers, row_stride: stride, col_stride: 1 }
}

#[cfg(test)]
mod tests {
    use std::{vec, vec::Vec};

    use crate::{graph::Lstm, optim::Optimizer, prelude::*};

    const STEPS: usize = 12;
    const BATCH: usize = 16;

    /// Two numbers a step: a mark at the first one, and noise in all others.
    fn sequences(seed: u64) -> (Vec<i8>, Vec<u16>) {
        let key = crate::rng::Key::new(seed);
        let classes: Vec<u16> = (0..BATCH as u32).map(|i| key.below(i, 2) as u16).collect();
        let mut data = vec![0i8; 2 * STEPS * BATCH];
        for (i, number) in data.iter_mut().enumerate() {
            *number = (key.child(1).below(i as u32, 65) as i8) - 32;
        }
        for (sample, &class) in data.chunks_mut(2 * STEPS).zip(&classes) {
            sample[0] = if class == 1 { 100 } else { -100 };
        }
        (data, classes)
    }

    fn run(lstm: Lstm, layer: LayerConfig, train: Train, steps: u64) -> (Vec<u8>, u64) {
        let net: Graph<4> = Graph::input([2, 1, STEPS as u16]).lstm("lstm", lstm).dense("fc", 2);
        let config = Config::uniform(net.view(), layer, train);
        let mut arena = Arena::<100_000>::new();
        let mut trainer = Trainer::new(&net, &config, arena.as_mut_slice(), Scalar, ()).unwrap();
        let mut loss = 0;
        for step in 0..steps {
            let (data, classes) = sequences(step);
            let samples = Samples { data: SampleData::I8(&data), exponent: -7 };
            loss = trainer.step(samples, Targets::Classes(&classes)).unwrap().tally.loss;
        }
        (trainer.persistent().to_vec(), loss)
    }

    #[test]
    fn cells_learn_to_remember() {
        let train = Train { momentum: 29_491, ..Train::new(BATCH as u16, Lr::ratio(1, 10)) };
        for (lstm, layer) in [
            (Lstm::new(8), LayerConfig::new(8)),
            (Lstm::new(8).sequence(), LayerConfig::new(8)),
            (Lstm::new(8), LayerConfig::new(16)),
        ] {
            let (_, first) = run(lstm, layer, train, 1);
            let (_, last) = run(lstm, layer, train, 300);
            assert!(last < first / 20, "{lstm:?}: {first} became {last}");
        }
    }

    #[test]
    fn gradients_that_stop_teach_nothing_of_the_past() {
        let train =
            Train { optimizer: Optimizer::LION, ..Train::new(BATCH as u16, Lr::ratio(1, 100)) };
        let run = |truncate| run(Lstm::new(6).truncate(truncate), LayerConfig::new(8), train, 3).0;
        assert_eq!(run(0), run(STEPS as u16));
        assert_eq!(run(0), run(u16::MAX));
        assert_ne!(run(0), run(STEPS as u16 - 1));
        assert_ne!(run(1), run(2));
    }

    #[test]
    fn micro_batches_leave_the_bits_of_batches_while_their_sums_fit() {
        let mut layer = LayerConfig::new(8);
        for quant in [&mut layer.weight_grad, &mut layer.bias_grad] {
            quant.range = Range::Fixed(0);
        }
        layer.activation = Some(Point::new(Quant::new(8).range(Range::Fixed(0))));
        layer.activation_grad = Some(Quant::new(8).range(Range::Fixed(1)));
        let moving = Range::Moving { window: 4, percentile: 10_000 };
        let mut other = layer;
        other.activation_grad = Some(Quant::new(8).range(moving).round(Round::Stochastic));
        for layer in [layer, other] {
            for lstm in [Lstm::new(5), Lstm::new(5).sequence().truncate(5)] {
                let run = |micro_batch| {
                    let train = Train { micro_batch, ..Train::new(BATCH as u16, Lr::ratio(1, 4)) };
                    run(lstm, layer, train, 5)
                };
                let whole = run(BATCH as u16);
                assert_eq!(whole, run(4));
                assert_eq!(whole, run(1));
            }
        }
    }
}
