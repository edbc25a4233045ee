//! Gradients of the weights of a layer that goes through time: sums over samples and steps.

use super::{Time, hidden_exponent, hidden_of};
use crate::{
    graph::{Region, pick},
    kernel::Kernel,
    layer::{Lstm, Unit, shifted},
    strategy::Strategy,
    tensor::{Mantissas, MantissasMut, Matrix},
    trainer::{
        engine::{At, Engine},
        forward::pieces,
        gradients::Block,
        point::{Sums, grid},
    },
    uses::Uses,
};

/// Some columns of the weights, of those that the input is multiplied with or of those of the hidden state.
struct Part<'m> {
    /// Numbers that were multiplied: a row for every sample and step.
    numbers: Matrix<'m>,
    /// Where the columns are in a row of the block.
    at: usize,
    left: i32,
}

impl<'e, K: Kernel, S: Strategy, U: Uses> Engine<'e, K, S, U> {
    /// The unit of sums of weight gradients, and how far those by the input and those by the hidden state
    /// go to the left.
    fn weight_unit(&self, at: At<'_>) -> (Unit, [i32; 2]) {
        let grad = self.exponents.get(at.i).map_or(0, |now| now.grad);
        let (sum, hidden) = (at.plan.weight_grad, hidden_exponent(hidden_of(at)));
        let exponents = [self.input_exponent(at.plan), hidden];
        let exponents = exponents.map(|codes| grid(codes, grad, sum.drop.into()));
        let unit = exponents.iter().fold(Unit::NONE, |unit, &part| unit.and(part, sum.kept()));
        (unit, exponents.map(|part| unit.left(part)))
    }

    /// The exponent of these sums.
    pub(in crate::trainer) fn lstm_grad_exponent(&self, at: At<'_>) -> i16 {
        self.weight_unit(at).0.exponent()
    }

    /// What is known of them, whatever the exponents: where both units are the same, they are as large as
    /// products of so many terms are.
    pub(in crate::trainer) fn lstm_grad_sums(at: At<'_>, exponent: i16, terms: usize) -> Sums {
        let likely = at.plan.weight_grad.kept().saturating_sub(Sums::slack_of(terms)) + 1;
        Sums { exponent, bits: 30, slack: 30u8.saturating_sub(likely) }
    }

    /// Sums of a block of weights into a region, or added to what is there.
    #[inline(never)]
    pub(in crate::trainer) fn lstm_grads(
        &mut self,
        at: At<'e>,
        lstm: Lstm,
        count: usize,
        to: &Region,
        block: &Block,
        add: bool,
    ) {
        let (plan, time) = (at.plan, Time::of(at, lstm, self.train.micro_batch));
        let (_, lefts) = self.weight_unit(at);
        let input = self.input_region(plan);
        let regions = [to, &plan.channels_now, &plan.aligned_grad, input, &time.memories.hidden];
        let [sums, work, grad, x, hidden] = pick(self.memory, regions);
        let (MantissasMut::I32(sums), MantissasMut::I32(work)) = (sums, work) else { return };
        let x = if input.len == 0 { Mantissas::I8(self.samples) } else { U::codes(x.as_ref()) };
        let (grad, hidden) = (U::codes(grad.as_ref()), U::codes(hidden.as_ref()));
        let (rows, Time { features, units, .. }) = (count * time.steps, time);
        let end = block.col + block.cols;
        let split = features.max(block.col).min(end);
        let parts = [
            Part {
                numbers: Matrix::columns(x, rows, features, block.col, split - block.col),
                at: 0,
                left: lefts[0],
            },
            Part {
                numbers: Matrix::columns(
                    hidden,
                    rows,
                    units,
                    block.col.saturating_sub(features),
                    end - split,
                ),
                at: split - block.col,
                left: lefts[1],
            },
        ];
        for Part { numbers, at, left } in parts {
            let width = numbers.cols.max(1);
            if numbers.cols == 0 {
                continue;
            }
            for (from, some) in pieces(block.rows, work.len() / width) {
                let part = work.get_mut(..some * width).unwrap_or_default();
                let grad = Matrix::columns(grad, rows, time.gates(), block.unit + from, some);
                // Bytes may have to drop bits too: batches have many steps.
                self.kernel.gemm(grad.t(), numbers, plan.weight_grad.drop.into(), false, part);
                for row in 0..some {
                    let part = part.get(row * width..).unwrap_or_default().iter().take(width);
                    let place = (from + row) * block.cols + at;
                    let places = sums.get_mut(place..).unwrap_or_default().iter_mut();
                    for (place, &sum) in places.zip(part) {
                        let sum = shifted(sum, left);
                        *place = if add { place.saturating_add(sum) } else { sum };
                    }
                }
            }
        }
    }
}
