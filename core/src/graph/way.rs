//! What is the same in every step and would take code and time to work out again: sizes, neighbours,
//! and how much is taken at a time.

use super::{
    layer::Kind,
    plan::{Plan, max},
    region::Way,
    view::GraphView,
};

impl<const N: usize> Plan<N> {
    /// Once all regions have their places.
    pub(super) const fn find_ways(&mut self, graph: GraphView<'_>) {
        let layers = graph.layers();
        let mut target = Way::NOWHERE;
        let mut i = 0;
        while i < layers.len() {
            let layer = layers[i];
            let (inputs, outputs) =
                (layers[layer.input as usize].shape.elements(), layer.shape.elements());
            let (plan, below) = (&self.layers[i], &self.layers[layer.input as usize]);
            if plan.grad.len > 0 {
                target = i as u8;
            } else if layer.kind.accumulates() {
                target = Way::NOWHERE;
            }
            let units = match layer.kind {
                Kind::Dense { units, .. } => units as usize,
                Kind::Input | Kind::Relu | Kind::Flatten => 0,
            };
            let (rows, cols) = tile_shape(plan.backward_tile.len as usize, units, inputs);
            let samples = self.micro_batch as usize;
            self.layers[i].way = Way {
                kind: layer.kind,
                outputs: outputs as u32,
                inputs: inputs as u32,
                input: layer.input,
                holder: below.output,
                input_bits: below.output_bits,
                target,
                forward_rows: tile_rows(plan.forward_tile.len as usize, outputs, samples) as u16,
                grad_rows: tile_rows(self.grad_tile(graph, i), outputs, samples) as u16,
                weight_rows: rows as u16,
                weight_cols: cols as u32,
            };
            i += 1;
        }
    }

    /// Room for sums of the gradient of layer `i`'s output: the scratch of the loss, or the tile of
    /// the layer above that has weights or a point of its own.
    const fn grad_tile(&self, graph: GraphView<'_>, i: usize) -> usize {
        let mut above = i + 1;
        while above < graph.layers().len() {
            if self.layers[above].grad.len > 0 {
                return self.layers[above].backward_tile.len as usize;
            }
            above += 1;
        }
        self.scratch.len as usize
    }
}

/// How many rows of `numbers` sums fit into a region for `room` sums: in fours where there are as
/// many, because kernels take four at a time.
const fn tile_rows(room: usize, numbers: usize, count: usize) -> usize {
    match room / max(numbers, 1) {
        rows if rows >= count => max(count, 1),
        rows @ 4.. => rows / 4 * 4,
        rows => max(rows, 1),
    }
}

/// Rows and columns of a tile of at most `room` sums. Kernels take four rows at a time: pieces of
/// four rows come before whole rows that are fewer.
const fn tile_shape(room: usize, rows: usize, cols: usize) -> (usize, usize) {
    let whole = tile_rows(room, cols, rows);
    let four = if rows < 4 { max(rows, 1) } else { 4 };
    if whole >= four && whole * cols <= room {
        return (whole, cols);
    }
    // Two neighbours share a random number.
    (four, max(room / four / 2 * 2, 1))
}
