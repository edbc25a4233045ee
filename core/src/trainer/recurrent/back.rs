//! Back through time: from the gradient of the output to those of the gates in all steps.

use super::{Group, Time, room, samples_of};
use crate::{
    graph::pick,
    kernel::Kernel,
    layer::{Kept, Lstm, Unit, product, shifted},
    quant::{Counts, Quant, Quantizer, Range, bits_for, exponent_of},
    rng::Key,
    strategy::Strategy,
    tensor::{MantissasMut, Matrix},
    trainer::{
        Tensor,
        engine::{At, Engine, GATES_STREAM},
        forward::pieces,
        point::grid,
    },
    uses::Uses,
};

/// How gradients from above and from the next step meet, and what becomes of those of gates.
#[derive(Clone, Copy)]
struct Passage {
    /// How far codes from above go to the left, and sums from the next step.
    left: [i32; 2],
    quantizer: Quantizer,
    /// Number of the first gate in memory, of those of the step of training.
    base: u32,
}

/// What the points of gradients count, of all groups and steps.
#[derive(Clone, Copy, Default)]
struct Seen {
    counts: Counts,
    elements: usize,
    peak: u32,
}

impl<'e, K: Kernel, S: Strategy, U: Uses> Engine<'e, K, S, U> {
    /// The gradients of the gates of `count` samples, of which the first is sample `base` of the step. They
    /// are what the gradients of weights and of the input are made of, so from here on their exponent is
    /// the one of the layer's gradient.
    #[inline(never)]
    pub(in crate::trainer) fn lstm_back(
        &mut self,
        at: At<'e>,
        lstm: Lstm,
        count: usize,
        base: u32,
    ) {
        let Some(quant) = &at.config.activation_grad else { return };
        let time = Time::of(at, lstm, self.train.micro_batch);
        let (grad, weight) = self.exponents.get(at.i).map_or((0, 0), |now| (now.grad, now.weight));
        let limit = quant.bits.max(2) - 1;
        // A gate's gradient is a part of the output's, at first.
        let guess = grad.saturating_add(i16::from(limit)).saturating_sub(1);
        let bound = self.gates_bound(at, quant.range, guess);
        let exponent = exponent_of(bound, quant.bits);
        let sum = at.plan.input_grad;
        let later = grid(exponent, weight, sum.drop.into());
        let unit = Unit::NONE.and(grad, limit).and(later, sum.kept());
        let numbers = (time.steps * time.gates()) as u32;
        let passage = Passage {
            left: [unit.left(grad), unit.left(later)],
            quantizer: gates_quantizer(quant, exponent, unit, self.gates_key(at)),
            base: base.wrapping_mul(numbers),
        };
        let mut seen = Seen::default();
        for (first, count) in pieces(count, room(at.plan, &time)) {
            let group = Group { first, count, tile: 0 };
            for step in (0..time.steps).rev() {
                let linked = step + 1 < time.steps && !lstm.stops_before(step + 1, time.steps);
                self.next_step_back(at, &time, group, step, linked);
                self.step_back(at, &time, group, step, &passage, &mut seen);
            }
        }
        if let Some(log) = bits_for(seen.peak)
            && !matches!(quant.range, Range::Fixed(_))
        {
            self.note_gates(at, unit.exponent().saturating_add(log.into()));
        }
        if let Some(range) = self.range_mut(at.i, Tensor::ActivationGrad) {
            range.count(seen.counts, seen.elements);
        }
        if let Some(now) = self.exponents.get_mut(at.i) {
            now.grad = exponent;
        }
    }

    fn gates_key(&self, at: At<'_>) -> Key {
        self.key(at.i, Tensor::ActivationGrad, GATES_STREAM)
    }

    /// What the next step sends back: sums of the gradient of the hidden state, behind them what there is
    /// of the cell's state. Zeros where no next step is linked to this one.
    #[inline(never)]
    fn next_step_back(&mut self, at: At<'e>, time: &Time, group: Group, step: usize, linked: bool) {
        let (plan, Time { units, features, steps, .. }) = (at.plan, *time);
        let regions = [&plan.channels_now, &plan.weight.codes, &plan.aligned_grad];
        let [work, weight, grads] = pick(self.memory, regions);
        let MantissasMut::I32(work) = work else { return };
        let numbers = group.count * units;
        if !linked {
            work.iter_mut().take(2 * numbers).for_each(|number| *number = 0);
            return;
        }
        let (weight, grads) = (U::codes(weight.as_ref()), U::codes(grads.as_ref()));
        let (gates, depth) = (time.gates(), plan.way.depth as usize);
        let first = (group.first * steps + step + 1) * gates;
        let rows = samples_of(grads, first, steps, gates, group);
        let weight = Matrix::columns(weight, gates, depth, features, units);
        let sums = work.get_mut(..numbers).unwrap_or_default();
        product::<K, U>(self.kernel, rows, weight, plan.input_grad.drop, false, sums);
    }

    /// The gradients of the gates of a step, and of the state before it.
    #[inline(never)]
    fn step_back(
        &mut self,
        at: At<'e>,
        time: &Time,
        group: Group,
        step: usize,
        passage: &Passage,
        seen: &mut Seen,
    ) {
        let Time { lstm, units, steps, memories, .. } = *time;
        let plan = at.plan;
        let regions =
            [&plan.channels_now, &plan.grad, &plan.aligned_grad, &memories.states, &memories.gates];
        let [work, grad, mut codes, states, gates] = pick(self.memory, regions);
        let (MantissasMut::I32(work), MantissasMut::I16(states)) = (work, states) else { return };
        let MantissasMut::I8(gates) = gates else { return };
        let grad = U::codes(grad.as_ref());
        let numbers = group.count * units;
        let (hidden, rest) = work.split_at_mut_checked(numbers).unwrap_or_default();
        let (carried, rest) = rest.split_at_mut_checked(numbers).unwrap_or_default();
        let row = rest.get_mut(..time.gates()).unwrap_or_default();
        for s in 0..group.count {
            let sample = group.first + s;
            let (here, before) = (time.place(sample, step), step.checked_sub(1));
            let before = before.map(|last| time.place(sample, last));
            let above = match lstm.is_last() {
                true if step + 1 < steps => None,
                true => Some(sample * units),
                false => Some((sample * steps + step) * units),
            };
            for u in 0..units {
                let above = above.map_or(0, |at| shifted(grad.get(at + u), passage.left[0]));
                let (Some(sum), Some(carried)) =
                    (hidden.get(s * units + u), carried.get_mut(s * units + u))
                else {
                    return;
                };
                // Both together are within 2^30.
                let sum = shifted(*sum, passage.left[1]).wrapping_add(above);
                let gate = |gate| gates.get(4 * here + gate * units + u).copied().unwrap_or(0);
                let state = |at: usize| states.get(at + u).copied().unwrap_or(0);
                let kept = Kept {
                    gates: [0, 1, 2, 3].map(gate),
                    state: state(here),
                    before: before.map_or(0, state),
                };
                let back = kept.back(sum, *carried);
                *carried = back.state;
                for (gate, sum) in back.sums.into_iter().enumerate() {
                    if let Some(place) = row.get_mut(gate * units + u) {
                        *place = sum;
                    }
                }
            }
            let first = (sample * steps + step) * row.len();
            let element = passage.base.wrapping_add(first as u32);
            let codes = codes.part(first, row.len());
            let sums = (&*row).into();
            seen.peak = self.kernel.peak_beyond(sums, seen.peak);
            seen.counts += self.kernel.quantize(&passage.quantizer, sums, element, codes);
            seen.elements += row.len();
        }
    }
}

fn gates_quantizer(quant: &Quant, exponent: i16, unit: Unit, key: Key) -> Quantizer {
    let shift = i32::from(exponent) - i32::from(unit.exponent());
    Quantizer { shift, format: quant.format(), key, peak: u32::MAX }
}
