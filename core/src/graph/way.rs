//! What is the same in every step and would take code and time to work out again: sizes, neighbours,
//! and how much is taken at a time.

use super::{
    flow::Flow,
    plan::{Plan, max},
    region::{Left, Way},
    view::GraphView,
};
use crate::layer::Output;

impl<const N: usize> Plan<N> {
    /// Once all regions have their places.
    pub(super) const fn find_ways(&mut self, flow: Flow<'_>) {
        let graph = flow.graph();
        let layers = graph.layers();
        let mut i = 0;
        while i < layers.len() {
            let layer = layers[i];
            let Some(facts) = graph.facts(i) else { return };
            let (plan, below) = (&self.layers[i], &self.layers[layer.input as usize]);
            let target = if plan.grad.len > 0 {
                i as u8
            } else if matches!(facts.output, Output::InPlace) {
                below.way.target
            } else {
                Way::NOWHERE
            };
            let ([_, depth], [(_, moving), _]) = (facts.weights, flow.moving(i));
            let moving = moving / max(depth, 1);
            let (rows, cols) = tile_shape(plan.backward_tile.len as usize, moving, depth);
            let samples = self.micro_batch as usize;
            let [channels, height, width] = layer.shape.0;
            let pixels = height as usize * width as usize;
            // Whole samples go through time.
            let together = if facts.steps > 0 { max(pixels, 1) } else { 1 };
            self.layers[i].way = Way {
                kind: layer.kind,
                from: layers[layer.input as usize].shape,
                rows: pixels as u32,
                channels,
                outputs: layer.shape.elements() as u32,
                depth: depth as u32,
                output: facts.output,
                input: layer.input,
                other: layer.other,
                holder: below.output,
                input_bits: below.output_bits,
                target,
                forward_rows: (together
                    * tile_rows(
                        plan.forward_tile.len as usize,
                        channels as usize * together,
                        samples * pixels / together,
                    )) as u32,
                grad_rows: self.grad_rows(graph, i) as u32,
                weight_rows: rows as u16,
                weight_cols: cols as u32,
            };
            if flow.gated(i) {
                self.layers[i].left = Left::Winners;
            }
            i += 1;
        }
    }

    /// Rows of a tile of sums of the gradient of layer `i`'s output: in the scratch of the loss, or in
    /// the tile of the layer above that has a gradient. One that sees an output as a vector, because
    /// it is dense or above a flatten, makes the gradients of whole samples, as the loss does.
    const fn grad_rows(&self, graph: GraphView<'_>, i: usize) -> usize {
        let [channels, height, width] = graph.layers()[i].shape.0;
        let (channels, pixels) = (channels as usize, height as usize * width as usize);
        let samples = self.micro_batch as usize;
        // The last of those above that have no gradient of their own.
        let (mut last, mut above) = (i, i + 1);
        while above < graph.layers().len() {
            if graph.layers()[above].input as usize == last && self.layers[above].grad.len == 0 {
                last = above;
            }
            above += 1;
        }
        let [seen, ..] = graph.layers()[last].shape.0;
        let (mut tile, mut flat) = (self.shared.scratch, seen as usize != channels);
        let (mut readers, mut above) = (0, graph.layers().len());
        // Down to the first reader, in whose tile the sums are.
        while above > last + 1 {
            above -= 1;
            if graph.reads(above, last) {
                readers += 1;
                tile = self.layers[above].backward_tile;
                flat = flat || graph.takes_inputs_whole(above);
            }
        }
        let room = tile.len as usize / if readers > 1 { 2 } else { 1 };
        if flat || readers == 0 {
            pixels * tile_rows(room, channels * pixels, samples)
        } else {
            tile_rows(room, channels, samples * pixels)
        }
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
