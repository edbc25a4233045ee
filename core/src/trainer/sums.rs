//! Gradient sums of a batch that comes in micro-batches.

use super::{
    engine::{At, Engine},
    forward::pieces,
    gradients::Block,
    update::Which,
};
use crate::{
    graph::pick,
    kernel::Kernel,
    layer::{Operator, operate},
    quant::{Format, Overflow, Round, requantize},
    strategy::Strategy,
    tensor::MantissasMut,
    uses::Uses,
};

impl<'e, K: Kernel, S: Strategy, U: Uses> Engine<'e, K, S, U> {
    /// Adds the gradients of a micro-batch to the sums of the step. Where a range rule looked at
    /// the micro-batch alone its unit may differ from the first one's, and is brought to that.
    #[inline(never)]
    pub(super) fn add_up(&mut self, at: At<'e>, count: usize, exponents: [i16; 2]) {
        let Some(now) = self.exponents.get_mut(at.i) else { return };
        if self.first_part {
            now.sums = exponents;
        }
        let [weights, biases] = now.sums;
        let (plan, depth) = (at.plan, at.plan.way.depth as usize);
        let (first, units) = at.moving::<U>(Which::Weight);
        let room = (self.shared.scratch.len as usize).max(1);
        let mut whole = weights == exponents[0];
        operate!(plan.way.kind, U, layer => whole &= layer.adds(self.kernel));
        let (rows, cols) = match room / depth.max(1) {
            _ if whole => (units.max(1), depth.max(1)),
            0 => (1, room),
            rows => (rows.min(units), depth),
        };
        for (unit, rows) in pieces(units, rows) {
            for (col, cols) in pieces(depth, cols) {
                let block = Block { unit: first + unit, rows, col, cols };
                if whole {
                    self.block_sums(at, count, &plan.weight.sum, &block, true);
                    continue;
                }
                let part = self.shared.scratch.first(rows * cols);
                self.block_sums(at, count, &part, &block, false);
                let [part, sums] = pick(self.memory, [&part, &plan.weight.sum]);
                let (MantissasMut::I32(part), MantissasMut::I32(sums)) = (part, sums) else {
                    return;
                };
                let sums = sums.get_mut(unit * depth + col..).unwrap_or_default();
                add_shifted(sums, part, i32::from(exponents[0]) - i32::from(weights));
            }
        }
        let row = self.shared.row.first(plan.bias.master.len as usize);
        self.bias_sums(at, count, &row);
        if let [MantissasMut::I32(sums), MantissasMut::I32(part)] =
            pick(self.memory, [&plan.bias.sum, &row])
        {
            let part = part.get(at.moving::<U>(Which::Bias).0..).unwrap_or_default();
            add_shifted(sums, part, i32::from(exponents[1]) - i32::from(biases));
        }
    }

    /// At the end of a step whose batch came in parts.
    pub(crate) fn apply_sums(&mut self) {
        for i in 0..self.plan.len() {
            let (Some(at), Some(now)) = (self.at(i), self.exponents.get(i)) else { return };
            let exponents = now.sums;
            for which in [Which::Bias, Which::Weight] {
                let param = self.param(at, which, which.choose(exponents));
                if param.plan.sum.len > 0 {
                    self.descend_at_once(&param, &param.plan.sum);
                }
            }
        }
    }

    /// Sets the gradient sums to zero.
    pub(crate) fn clear_sums(&mut self) {
        for plan in self.plan {
            for region in [&plan.weight.sum, &plan.bias.sum] {
                if let [MantissasMut::I32(sums)] = pick(self.memory, [region]) {
                    sums.fill(0);
                }
            }
        }
    }
}

/// Adds `part * 2^left`, rounded to nearest and saturating.
fn add_shifted(sums: &mut [i32], part: &[i32], left: i32) {
    let format = Format { bits: 31, round: Round::Rnd, overflow: Overflow::Sat };
    for (sum, &value) in sums.iter_mut().zip(part) {
        let value = if left == 0 {
            value
        } else {
            requantize(i64::from(value), left.saturating_neg(), format, 0).value
        };
        *sum = sum.saturating_add(value);
    }
}
