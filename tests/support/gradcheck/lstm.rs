//! Cells through time, a second time from the words of docs/numerics.md: with integers, since what a step
//! rounds the next one reads. No line is shared with the core. That these integers are near the cells of
//! the literature is checked in [`lstm_floats`](super::lstm_floats).

use fixgrad::{
    graph::{Lstm, Returns},
    quant::{Format, Overflow, Quant, Range, Round},
    rng::Key,
    trainer::Tensor,
};

use super::{Quantised, Step, forward::Layer};
use crate::{
    reference::Expected,
    rounding::{self, jam},
};

/// The number of the stream in docs/numerics.md.
const GATES: u32 = 5 << 8;
const ONE: i64 = 1 << 15;

/// What the forward pass of a layer was made of.
pub(super) struct Past {
    lstm: Lstm,
    features: usize,
    steps: usize,
    samples: usize,
    /// Codes of the input, and their exponent.
    x: Vec<i64>,
    unit: i16,
    weights: Vec<i64>,
    weight_unit: i16,
    /// States that steps left, gates of all cells, and hidden states from before steps.
    states: Vec<i64>,
    gates: Vec<[i64; 4]>,
    hidden: Vec<i64>,
    hidden_bits: u8,
}

/// Gradients of the gates of all steps.
pub(super) struct Gates {
    codes: Vec<i64>,
    unit: i16,
}

/// Bits of a sum before and after it drops some, and how many it drops.
fn sum(a: u8, b: u8, terms: usize) -> (u8, i32) {
    let bits = (a - 1) + (b - 1) + terms.next_power_of_two().ilog2() as u8;
    (bits.min(30), i32::from(bits.saturating_sub(30)))
}

/// The unit in which two numbers of so many bits meet.
fn meet(parts: [(i16, u8); 2]) -> i16 {
    let high = parts.iter().map(|&(e, bits)| e + i16::from(bits)).max().expect("two") + 1;
    let low = parts.iter().map(|&(e, _)| e).min().expect("two");
    low.max(high - 30)
}

fn moved(value: i64, from: i16, to: i16) -> i64 {
    if from >= to { value << (from - to) } else { jam(value, (to - from).into()) }
}

fn exp2(t: i64) -> i64 {
    let table = |i: i64| (f64::from(1 << 15) * (-(i as f64) / 64.0).exp2()).round() as i64;
    if t >= 1 << 20 {
        return 0;
    }
    let (i, r) = ((t & 0xffff) >> 10, t & 1023);
    (table(i) + (((table(i + 1) - table(i)) * r + 512) >> 10)) >> (t >> 16)
}

/// A sigmoid of a number in units of 2^e.
fn sigmoid(x: i64, e: i32) -> i64 {
    let down = -(e + 2);
    let octaves = ((x.abs() * 23_637 + (1 << (down - 1))) >> down).clamp(0, 1 << 22);
    let p = exp2(octaves);
    let h = ((1 << 30) + (ONE + p) / 2) / (ONE + p);
    if x < 0 { ONE - h } else { h }
}

fn tanh(x: i64) -> i64 {
    2 * sigmoid(x, -11) - ONE
}

fn nearest(value: i64, shift: i32, bits: u8, overflow: Overflow) -> i64 {
    rounding::code(value, shift, Format { bits, round: Round::Rnd, overflow }, 0).code as i64
}

impl Past {
    const fn units(&self) -> usize {
        self.lstm.units as usize
    }

    /// The cell of a unit in a step, among those of all samples.
    fn cell(&self, sample: usize, step: usize, unit: usize) -> usize {
        (sample * self.steps + step) * self.units() + unit
    }

    fn weight(&self, row: usize, column: usize) -> i64 {
        self.weights[row * (self.features + self.units()) + column]
    }

    /// A cell on its way back.
    fn cell_back(&self, [s, step, u]: [usize; 3], grad: i64, carried: &mut i64) -> [i64; 4] {
        let cell = self.cell(s, step, u);
        let before = if step > 0 { self.states[self.cell(s, step - 1, u)] } else { 0 };
        let [i, f, g, o] = self.gates[cell];
        let curve = tanh(self.states[cell]);
        let steep = ((1 << 30) - curve * curve + (1 << 14)) >> 15;
        let most = 1 << 30;
        let state = *carried + ((grad * o * steep + (1 << 22)) >> 23);
        let state = state.clamp(-most, most);
        *carried = (state * f + 128) >> 8;
        [
            jam(state * g * i * (256 - i), 23),
            jam(state * before * f * (256 - f), 28).clamp(-most, most),
            jam(state * i * ((1 << 14) - g * g), 22),
            jam(grad * curve * o * (256 - o), 31),
        ]
    }
}

impl Step<'_> {
    /// The outputs of a layer that goes through time.
    pub(super) fn through_time(
        &self,
        i: usize,
        lstm: Lstm,
        below: &[f64],
        [weight, bias]: &[Quantised; 2],
    ) -> (Past, Vec<f64>) {
        let [channels, height, width] = self.case.graph.view().input_shape(i).0.map(usize::from);
        // Lines, or pictures row by row.
        let (features, steps) =
            if height == 1 { (channels, width) } else { (channels * width, height) };
        let units = usize::from(lstm.units);
        let point = self.config(i).activation.expect("a point");
        let hidden_bits = if point.bits() > 8 { 16 } else { 8 };
        let value = self.unit_of_outputs(self.inputs(i)[0]);
        let mut past = Past {
            lstm,
            features,
            steps,
            samples: below.len() / (features * steps),
            x: below.iter().map(|x| (x / value) as i64).collect(),
            unit: value.log2() as i16,
            weights: weight.codes.iter().map(|w| w.mantissa.into()).collect(),
            weight_unit: weight.codes[0].exponent,
            states: Vec::new(),
            gates: Vec::new(),
            hidden: vec![0; below.len() / features * units],
            hidden_bits,
        };
        let bits = self.plans[i].way.input_bits.max(hidden_bits);
        let (kept, drop) = sum(bits, self.config(i).weight.bits(), features.max(units));
        let product = |codes: i16| codes + past.weight_unit + drop as i16;
        let (of_x, of_h) = (product(past.unit), product(1 - i16::from(hidden_bits)));
        let unit = meet([(of_x, kept), (of_h, kept)]);
        let biases = bias.codes.iter().map(|b| {
            nearest(b.mantissa.into(), i32::from(unit - b.exponent), 31, Overflow::SatSym)
        });
        let biases: Vec<i64> = biases.collect();
        let mut outputs = Vec::new();
        for (s, step) in (0..past.samples).flat_map(|s| (0..steps).map(move |step| (s, step))) {
            let x = &past.x[(s * steps + step) * features..][..features];
            let h = &past.hidden[past.cell(s, step, 0)..][..units].to_vec();
            for u in 0..units {
                let z = [0, 1, 2, 3].map(|gate| {
                    let row = gate * units + u;
                    let a: i64 = x.iter().enumerate().map(|(k, x)| past.weight(row, k) * x).sum();
                    let b = h.iter().enumerate().map(|(k, h)| past.weight(row, features + k) * h);
                    let z = moved(jam(a, drop), of_x, unit)
                        + moved(jam(b.sum(), drop), of_h, unit)
                        + biases[row];
                    assert!(z.abs() < 1 << 31, "{z}");
                    let right = -12 - i32::from(unit);
                    let code = nearest(z, right, 16, Overflow::Sat);
                    self.coverage.note_if(code == 32_767, "a sum of a gate at its end");
                    code
                });
                let [i, f, o] = [z[0], z[1], z[3]].map(|z| sigmoid(z, -12));
                let g = tanh(z[2]);
                let before = if step > 0 { past.states[past.states.len() - units] } else { 0 };
                let exact = (f * before + ((i * g) >> 3) + (1 << 14)) >> 15;
                let state = exact.clamp(-32_768, 32_767);
                self.coverage.note_if(exact != state, "a state at its end");
                let output = (o * tanh(state) + (1 << 14)) >> 15;
                let byte = |gate: i64| ((gate + 64) >> 7).min(255);
                past.gates.push([byte(i), byte(f), ((g + 128) >> 8).min(127), byte(o)]);
                past.states.push(state);
                if step + 1 < steps {
                    let shift = 16 - i32::from(hidden_bits);
                    let at = past.cell(s, step + 1, u);
                    past.hidden[at] = nearest(output, shift, hidden_bits, Overflow::Sat);
                }
                if lstm.returns == Returns::Sequence || step + 1 == steps {
                    outputs.push(output as f64 / ONE as f64);
                }
            }
        }
        (past, outputs)
    }

    /// From the gradient of the output to those of the gates, and the memory of their bound.
    pub(super) fn back_through_time(&self, i: usize, past: &Past, grad: &[Expected]) -> Gates {
        let quant = self.config(i).activation_grad.expect("a point");
        let above = self.recorded(i, Tensor::ActivationGrad, true)[0].exponent;
        let limit = quant.bits.max(2) - 1;
        let guess = above + i16::from(limit) - 1;
        let bound = match quant.range {
            Range::Fixed(bound) => bound,
            _ => self.gates_bound(i).unwrap_or(guess),
        };
        let unit = bound - i16::from(limit);
        let (units, gates) = (past.units(), 4 * past.units());
        let (kept, drop) = sum(self.config(i).weight.bits(), quant.bits, gates);
        let later = unit + past.weight_unit + drop as i16;
        let wide = meet([(above, limit), (later, kept)]);
        let key = self.key(i, Tensor::ActivationGrad, GATES);
        let mut codes = vec![0; past.gates.len() * 4];
        let mut peak = 0;
        for s in 0..past.samples {
            let mut carried = vec![0i64; units];
            for step in (0..past.steps).rev() {
                let left = past.steps - 1 - step;
                let truncate = usize::from(past.lstm.truncate);
                let stops = left == 0 || truncate > 0 && left.is_multiple_of(truncate);
                self.coverage.note_if(stops && left > 0, "a gradient that stops");
                for (u, carried) in carried.iter_mut().enumerate() {
                    let mut sum = 0;
                    if stops {
                        *carried = 0;
                    } else {
                        let next = &codes[4 * past.cell(s, step + 1, 0)..][..gates];
                        let rows = next.iter().enumerate();
                        let product = rows.map(|(r, g)| g * past.weight(r, past.features + u));
                        sum = moved(jam(product.sum(), drop), later, wide);
                    }
                    let at = match past.lstm.returns {
                        Returns::Sequence => Some(past.cell(s, step, u)),
                        Returns::Last => (left == 0).then_some(s * units + u),
                    };
                    if let Some(at) = at {
                        let code = (grad[at].value / f64::from(above).exp2()) as i64;
                        sum += moved(code, above, wide);
                    }
                    let sums = past.cell_back([s, step, u], sum, carried);
                    for (gate, sum) in sums.into_iter().enumerate() {
                        peak = peak.max(sum.abs());
                        let element = 4 * past.cell(s, step, 0) + gate * units + u;
                        codes[element] = gate_code(sum, unit - wide, quant, key, element);
                    }
                }
            }
        }
        self.assert_bound(i, quant.range, bound, (peak > 0).then(|| wide + log2(peak)));
        Gates { codes, unit }
    }

    /// Gradients of weights and biases.
    pub(super) fn time_grads(&self, i: usize, past: &Past, gates: &Gates) -> [Vec<Expected>; 2] {
        let quant = self.config(i).activation_grad.expect("a point");
        let terms = usize::from(self.case.config.train.batch) * past.steps;
        let bits = self.plans[i].way.input_bits.max(past.hidden_bits);
        let (kept, drop) = sum(bits, quant.bits, terms);
        let (_, bias_drop) = sum(1, quant.bits, terms);
        let product = |codes: i16| codes + gates.unit + drop as i16;
        let (of_x, of_h) = (product(past.unit), product(1 - i16::from(past.hidden_bits)));
        let unit = meet([(of_x, kept), (of_h, kept)]);
        let far = of_x < unit || of_h < unit;
        self.coverage.note_if(far, "weight gradients too far apart for one unit");
        let rows = 4 * past.units();
        let column = |numbers: &[i64], width: usize, row: usize, column: usize| -> i64 {
            let grads = gates.codes.iter().skip(row).step_by(rows);
            grads.zip(numbers.iter().skip(column).step_by(width)).map(|(g, x)| g * x).sum()
        };
        let mut weights = Vec::new();
        for row in 0..rows {
            for k in 0..past.features {
                let sum = jam(column(&past.x, past.features, row, k), drop);
                weights.push(exactly(moved(sum, of_x, unit), unit));
            }
            for k in 0..past.units() {
                let sum = jam(column(&past.hidden, past.units(), row, k), drop);
                weights.push(exactly(moved(sum, of_h, unit), unit));
            }
        }
        let ones = vec![1; past.samples * past.steps];
        let biases = (0..rows).map(|row| {
            let sum = jam(column(&ones, 1, row, 0), bias_drop);
            exactly(sum, gates.unit + bias_drop as i16)
        });
        [weights, biases.collect()]
    }

    /// What a layer that goes through time sends down.
    pub(super) fn below_time(&self, i: usize, layer: &Layer) -> Vec<Expected> {
        let (past, gates) = layer.time.as_ref().expect("a past");
        let gates = gates.get().expect("gradients of gates");
        let quant = self.config(i).activation_grad.expect("a point");
        let rows = 4 * past.units();
        let (_, drop) = sum(self.config(i).weight.bits(), quant.bits, rows);
        let mut below = Vec::new();
        for step in gates.codes.chunks_exact(rows) {
            for k in 0..past.features {
                let sum = step.iter().enumerate().map(|(r, g)| g * past.weight(r, k)).sum();
                let unit = gates.unit + past.weight_unit + drop as i16;
                below.push(exactly(jam(sum, drop), unit));
            }
        }
        below
    }

    /// The bound that steps before have asked for.
    fn gates_bound(&self, i: usize) -> Option<i16> {
        bound_of(self.before.gates[i][0])
    }

    /// The memory of the bound after the step: fewer steps than a window are checked, so it is the largest
    /// that was seen.
    fn assert_bound(&self, i: usize, range: Range, bound: i16, seen: Option<i16>) {
        let [now, recent, previous, age, rest] = self.after.gates[i][..] else {
            panic!("five words of layer {i}")
        };
        let seen = seen.filter(|_| !matches!(range, Range::Fixed(_)));
        let before = bound_of(self.before.gates[i][1]);
        let largest = before.max(seen);
        assert_eq!(bound_of(recent), largest, "layer {i}");
        let next = seen.map_or(Some(bound), |_| largest);
        if !matches!(range, Range::Fixed(_)) {
            assert_eq!(bound_of(now), next, "layer {i}");
        }
        let steps = self.before.gates[i][3] + i64::from(seen.is_some());
        assert_eq!((bound_of(previous), age, rest), (None, steps, 0), "layer {i}");
    }
}

/// Words are zero where nothing is known.
fn bound_of(word: i64) -> Option<i16> {
    (word != 0).then_some(word as i16 ^ i16::MIN)
}

fn log2(peak: i64) -> i16 {
    (peak as u64).next_power_of_two().ilog2() as i16
}

fn exactly(mantissa: i64, unit: i16) -> Expected {
    Expected::exactly(mantissa as f64 * f64::from(unit).exp2())
}

fn gate_code(sum: i64, shift: i16, quant: Quant, key: Key, element: usize) -> i64 {
    let random = key.half(element as u32);
    rounding::code(sum, shift.into(), quant.format(), random).code as i64
}
