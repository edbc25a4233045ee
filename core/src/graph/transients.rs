//! What lives for a part of a step: tensors that are never alive at the same time share memory.

use super::{
    cursor::TooLarge,
    flow::Flow,
    plan::{Plan, storage},
    recurrent::{Memories, hidden_width},
    region::Region,
    sizes::HookNeeds,
    view::GraphView,
};
use crate::{config::LayerConfig, layer::Facts, tensor::Width};

impl<const N: usize> Plan<N> {
    /// Finds places for the activation, the mask and the gradients of layer `i`.
    pub(super) const fn place_transients(
        &mut self,
        base: u32,
        (graph, flow): (GraphView<'_>, Flow<'_>),
        lives: &[Lives],
        i: usize,
        config: &LayerConfig,
        hooks: &[HookNeeds],
    ) -> Result<(), TooLarge> {
        // What 32 bits cannot count finds no place.
        let numbers = graph.layers()[i].shape.elements();
        let numbers = numbers.saturating_mul(self.micro_batch as usize);
        let off = i < hooks.len() && hooks[i].activation_off_grid;
        let mine = lives[i];
        if let Some(point) = config.activation {
            let width = storage(point.bits(), off);
            let codes = Region::sized(numbers, width);
            self.layers[i].activation = attempt!(self.fit(base, lives, codes, mine[0]));
            if point.clip && flow.trains(i) {
                let mask = Region::sized(numbers.div_ceil(8), Width::I8);
                self.layers[i].pass = attempt!(self.fit(base, lives, mask, mine[1]));
            }
        } else if self.layers[i].output as usize == i && i > 0 {
            let codes = Region::sized(numbers, Width::for_bits(self.layers[i].output_bits));
            self.layers[i].activation = attempt!(self.fit(base, lives, codes, mine[0]));
        }
        let gates = match (graph.facts(i), config.activation) {
            (Some(facts), _) if facts.memo > 0 => {
                let memo = Region::sized(numbers.saturating_mul(facts.memo), Width::I8);
                self.layers[i].memo = attempt!(self.fit(base, lives, memo, mine[4]));
                0
            }
            (Some(Facts { steps: steps @ 1.., biases, .. }), Some(point)) => {
                // Without a gradient, a step needs the one before it only.
                let kept = if flow.trains(i) { steps } else { 1 };
                let samples = self.micro_batch as usize;
                let bytes = Memories::bytes(
                    samples.saturating_mul(kept).saturating_mul(biases / 4),
                    hidden_width(point),
                );
                let memo = Region::sized(bytes, Width::I8);
                self.layers[i].memo = attempt!(self.fit(base, lives, memo, mine[4]));
                samples.saturating_mul(steps).saturating_mul(biases)
            }
            _ => 0,
        };
        if let (Some(grad), true) = (config.activation_grad, flow.trains(i)) {
            let codes = Region::sized(numbers, Width::for_bits(grad.bits));
            self.layers[i].grad = attempt!(self.fit(base, lives, codes, mine[2]));
            if self.layers[i].spread > 0 || gates > 0 {
                let aligned = match gates {
                    0 => Region::sized(numbers, Width::I16),
                    gates => Region::sized(gates, Width::for_bits(grad.bits)),
                };
                self.layers[i].aligned_grad = attempt!(self.fit(base, lives, aligned, mine[3]));
            }
        }
        Ok(())
    }

    /// Moves a region to the lowest place that no living tensor occupies.
    const fn fit(
        &self,
        base: u32,
        lives: &[Lives],
        shape: Region,
        life: Life,
    ) -> Result<Region, TooLarge> {
        let mut offset = base as u64;
        let mut i = 0;
        while i < self.len as usize {
            let (others, lives) = (self.layers[i].transients(), lives[i]);
            let (mut k, mut moved) = (0, false);
            while k < others.len() {
                let other = others[k];
                let together = lives[k].0 <= life.1 && life.0 <= lives[k].1;
                let overlap =
                    (other.offset() as u64) < offset + shape.footprint() && offset < other.end();
                if other.len > 0 && together && overlap {
                    offset = other.end();
                    moved = true;
                }
                k += 1;
            }
            // After a move, earlier neighbours may be in the way: look again from the start.
            i = if moved { 0 } else { i + 1 };
        }
        shape.at(offset)
    }

    /// Gives sums on their way to a point the memory that nothing else needs at the time.
    pub(super) const fn place_tiles(&mut self, base: u32, flow: Flow<'_>, lives: &[Lives]) {
        let n = self.len as u16;
        let mut i = 0;
        while i < self.len as usize {
            // Only products gain from more of it.
            let (forward, backward) = if !flow.graph().is_in_place(i) {
                // Weights move once all that the layer reads has its gradient.
                let back = if flow.moves(i) { flow.back(i) } else { 2 * n - i as u16 };
                (self.spare(base, lives, i as u16), self.spare(base, lives, back))
            } else {
                (self.shared.scratch, self.shared.scratch)
            };
            self.layers[i].forward_tile = forward;
            self.layers[i].backward_tile = backward;
            i += 1;
        }
    }

    /// The largest piece of memory between what lives at this time, or the scratch region.
    const fn spare(&self, base: u32, lives: &[Lives], time: u16) -> Region {
        let mut best = self.shared.scratch;
        let mut i = 0;
        while i <= self.len as usize {
            // A gap begins at the start, or where something ends.
            let (starts, times) = match i.checked_sub(1) {
                None => ([Region::new(base, 0, Width::I8); 5], [(time, time); 5]),
                Some(layer) => (self.layers[layer].transients(), lives[layer]),
            };
            let mut k = 0;
            while k < starts.len() {
                let start = starts[k].end();
                let alive = lives_at(times[k], time);
                let room = if alive { self.room(start, lives, time) / 4 } else { 0 };
                let len = if room < MOST_SPARE { room } else { MOST_SPARE };
                // What has no place has no end.
                if start >= base as u64 && len > best.len as u64 {
                    let (offset, len) = (start as u32, len as u32);
                    best = Region::new(offset, len, Width::I32);
                }
                k += 1;
            }
            i += 1;
        }
        best
    }

    /// Bytes from `start` on, up to what lives at this time or to the end of the arena.
    const fn room(&self, start: u64, lives: &[Lives], time: u16) -> u64 {
        let (mut end, mut i) = (self.ram as u64, 0);
        while i < self.len as usize {
            let (others, lives) = (self.layers[i].transients(), lives[i]);
            let mut k = 0;
            while k < others.len() {
                let other = others[k];
                if other.len > 0 && lives_at(lives[k], time) && other.end() > start {
                    let begin = other.offset() as u64;
                    end = if begin <= start {
                        start
                    } else if begin < end {
                        begin
                    } else {
                        end
                    };
                }
                k += 1;
            }
            i += 1;
        }
        end.saturating_sub(start)
    }

    /// Where the last of them ends.
    pub(super) const fn end(&self, base: u32) -> u64 {
        let (mut end, mut i) = (base as u64, 0);
        while i < self.len as usize {
            let regions = self.layers[i].transients();
            let mut k = 0;
            while k < regions.len() {
                if regions[k].len > 0 && regions[k].end() > end {
                    end = regions[k].end();
                }
                k += 1;
            }
            i += 1;
        }
        end
    }
}

/// More sums at once than this gain nothing, and would leave the caches of a desktop.
const MOST_SPARE: u64 = 1024;

/// First and last moment of a tensor. Layer `i` runs forward at `i`, the loss at the number of
/// layers `n`, and layer `i` backward at `2n - i`.
pub type Life = (u16, u16);

/// Those of the tensors of a layer that do not live for ever.
pub type Lives = [Life; 5];

const fn lives_at(life: Life, time: u16) -> bool {
    life.0 <= time && time <= life.1
}

/// The question mark of a `const fn`.
macro_rules! attempt {
    ($result:expr) => {
        match $result {
            Ok(value) => value,
            Err(error) => return Err(error),
        }
    };
}
pub(crate) use attempt;
