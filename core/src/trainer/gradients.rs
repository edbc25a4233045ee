//! Gradients of weights and biases, as sums of products.

use super::{
    engine::{At, Engine},
    norm::norm_of,
    recurrent::lstm_of,
};
use crate::{
    graph::{Region, nothing, pick},
    kernel::Kernel,
    layer::{self, Operator, WeightGrad, operate},
    strategy::Strategy,
    tensor::{Mantissas, MantissasMut},
    uses::{Part, Uses},
};

/// A part of a weight: some rows, some of their columns.
pub(super) struct Block {
    pub(super) unit: usize,
    pub(super) rows: usize,
    pub(super) col: usize,
    pub(super) cols: usize,
}

impl<'e, K: Kernel, S: Strategy, U: Uses> Engine<'e, K, S, U> {
    /// The sums of a block of weights into a tile.
    #[inline(never)]
    pub(super) fn tile_sums(&mut self, at: At<'e>, count: usize, tile: &Region, block: &Block) {
        self.block_sums(at, count, tile, block, false);
    }

    /// The sums of a block of weights into a region, or added to what is there.
    #[inline(always)]
    pub(super) fn block_sums(
        &mut self,
        at: At<'e>,
        count: usize,
        to: &Region,
        block: &Block,
        add: bool,
    ) {
        let (plan, way, input) = (at.plan, &at.plan.way, self.input_region(at.plan));
        if norm_of::<U>(way).is_some() {
            return self.norm_grads(at, to, false, block.unit);
        }
        if let Some(lstm) = lstm_of::<U>(way) {
            return self.lstm_grads(at, lstm, count, to, block, add);
        }
        let [sums, grad, x, room] = if U::links_windows() {
            let room = self.room_for(input);
            pick(self.memory, [to, &plan.grad, input, &room])
        } else {
            let [sums, grad, x] = pick(self.memory, [to, &plan.grad, input]);
            [sums, grad, x, nothing()]
        };
        let MantissasMut::I32(sums) = sums else { return };
        let x = if input.len == 0 { Mantissas::I8(self.samples) } else { U::codes(x.as_ref()) };
        operate!(way.kind, U, layer => layer.weight_grad::<K, U>(WeightGrad {
            kernel: self.kernel,
            from: way.from,
            depth: way.depth as usize,
            samples: count,
            grad: U::codes(grad.as_ref()),
            x,
            drop: plan.weight_grad.drop,
            units: block.unit..block.unit + block.rows,
            cols: block.col..block.col + block.cols,
            add,
            sums,
            room,
        }));
    }

    /// The bias gradient of `count` samples.
    pub(super) fn bias_sums(&mut self, at: At<'e>, count: usize, sums: &Region) {
        let plan = at.plan;
        if norm_of::<U>(&plan.way).is_some() {
            return self.norm_grads(at, sums, true, 0);
        }
        let gates = lstm_of::<U>(&plan.way).is_some();
        let grad = if gates { &plan.aligned_grad } else { &plan.grad };
        let [sums, grad] = pick(self.memory, [sums, grad]);
        if let MantissasMut::I32(sums) = sums {
            // Without pictures, a sample is a row.
            let rows = if U::links_windows() { count * at.grad_rows::<U>() } else { count };
            layer::bias_grad::<U>(U::codes(grad.as_ref()), rows, plan.bias_grad.drop, sums);
        }
    }

    /// Whether sums of a bias gradient may drop bits: samples of bytes are too few for that.
    pub(super) fn drops_biases() -> bool {
        U::uses(Part::WideCodes) || U::links_windows()
    }
}
