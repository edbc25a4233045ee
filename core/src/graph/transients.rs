//! What lives for a part of a step: tensors that are never alive at the same time share memory.

use super::{
    cursor::TooLarge,
    flow::Flow,
    life::{Life, Lives},
    plan::{Plan, storage},
    recurrent::{Memories, hidden_width},
    region::Region,
    sizes::HookNeeds,
};
use crate::{config::LayerConfig, layer::Facts, tensor::Width};

impl<const N: usize> Plan<N> {
    /// Finds places for all that lives for a part of a step: in the order of the layers or, where that
    /// takes less memory, the largest first (as TFLM's `GreedyMemoryPlanner` does), or what ended highest
    /// before that. The error is the layer that finds none.
    pub(super) const fn place_transients(
        &mut self,
        base: u32,
        flow: Flow<'_>,
        lives: &[Lives],
        settings: &[LayerConfig],
        hooks: &[HookNeeds],
    ) -> Result<(), usize> {
        let (mut i, len) = (0, self.len as usize);
        while i < len {
            self.size_transients(flow, i, &settings[i], hooks);
            i += 1;
        }
        // In the order of the layers.
        let mut turns = [[0; 5]; N];
        while i > 0 {
            i -= 1;
            let mut k = 0;
            while k < 5 {
                turns[i][k] = u16::MAX - (5 * i + k) as u16;
                k += 1;
            }
        }
        attempt!(self.place_all(base, lives, &turns));
        let (mut best, mut least) = (turns, self.end(base));
        // The largest first, and then in each round what ended highest before all others.
        turns = [[0; 5]; N];
        let (mut round, rounds) = (0, if len < TRIED { TRIED / len } else { 1 });
        let bound = base as u64 + self.most_alive(lives);
        while round < rounds && least > bound {
            // Too much in this order, where there was room in another.
            if self.place_all(base, lives, &turns).is_err() {
                break;
            }
            let end = self.end(base);
            if end < least {
                (best, least) = (turns, end);
            }
            round += 1;
            let (layer, k) = self.ending(end);
            turns[layer][k] = round as u16;
        }
        self.place_all(base, lives, &best)
    }

    /// Bytes at the moment at which most of them are in use.
    const fn most_alive(&self, lives: &[Lives]) -> u64 {
        let (mut most, mut time) = (0, 0);
        while time <= 2 * self.len as u16 {
            let (mut sum, mut i) = (0, 0);
            while i < self.len as usize {
                let (regions, lives) = (self.layers[i].transients(), lives[i]);
                let mut k = 0;
                while k < regions.len() {
                    if lives[k].at(time) {
                        sum += regions[k].footprint();
                    }
                    k += 1;
                }
                i += 1;
            }
            most = if sum > most { sum } else { most };
            time += 1;
        }
        most
    }

    /// The first region that ends there: its layer, and which of the layer's it is.
    const fn ending(&self, end: u64) -> (usize, usize) {
        let mut i = 0;
        while i < self.len as usize {
            let regions = self.layers[i].transients();
            let mut k = 0;
            while k < regions.len() {
                if regions[k].len > 0 && regions[k].end() == end {
                    return (i, k);
                }
                k += 1;
            }
            i += 1;
        }
        (0, 0)
    }

    /// Activation, mask, gradients and what else the layer keeps, without places.
    const fn size_transients(
        &mut self,
        flow: Flow<'_>,
        i: usize,
        config: &LayerConfig,
        hooks: &[HookNeeds],
    ) {
        // What 31 bits cannot count finds no place.
        let numbers = flow.graph().layers()[i].shape.elements();
        let numbers = numbers.saturating_mul(self.micro_batch as usize);
        let off = i < hooks.len() && hooks[i].activation_off_grid;
        let layer = &mut self.layers[i];
        if let Some(point) = config.activation {
            layer.activation = Region::sized(numbers, storage(point.bits(), off));
            if point.clip && flow.trains(i) {
                layer.pass = Region::sized(numbers.div_ceil(8), Width::I8);
            }
        } else if layer.output as usize == i && i > 0 {
            layer.activation = Region::sized(numbers, Width::for_bits(layer.output_bits));
        }
        let gates = match (flow.graph().facts(i), config.activation) {
            (Some(facts), _) if facts.memo > 0 => {
                layer.memo = Region::sized(numbers.saturating_mul(facts.memo), Width::I8);
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
                layer.memo = Region::sized(bytes, Width::I8);
                samples.saturating_mul(steps).saturating_mul(biases)
            }
            _ => 0,
        };
        if let (Some(grad), true) = (config.activation_grad, flow.trains(i)) {
            layer.grad = Region::sized(numbers, Width::for_bits(grad.bits));
            if gates > 0 {
                layer.aligned_grad = Region::sized(gates, Width::for_bits(grad.bits));
            } else if layer.spread > 0 {
                layer.aligned_grad = Region::sized(numbers, Width::I16);
            }
        }
    }

    /// Moves every region to the lowest place that none occupies which was placed before and lives at the
    /// same time: those with the highest turn first, and of these the largest.
    const fn place_all(
        &mut self,
        base: u32,
        lives: &[Lives],
        turns: &[[u16; 5]; N],
    ) -> Result<(), usize> {
        // One bit a region.
        let mut placed = [0u8; N];
        while let Some((i, k)) = self.next(&placed, turns) {
            let region = self.layers[i].transients()[k];
            let Ok(region) = self.fit(base, lives, &placed, region, lives[i][k]) else {
                return Err(i);
            };
            let layer = &mut self.layers[i];
            match k {
                0 => layer.activation = region,
                1 => layer.pass = region,
                2 => layer.grad = region,
                3 => layer.aligned_grad = region,
                _ => layer.memo = region,
            }
            placed[i] |= 1 << k;
        }
        Ok(())
    }

    /// The next region to place: its layer, and which of the layer's it is.
    const fn next(&self, placed: &[u8; N], turns: &[[u16; 5]; N]) -> Option<(usize, usize)> {
        let (mut next, mut turn, mut most, mut i) = (None, 0, 0, 0);
        while i < self.len as usize {
            let (regions, turns) = (self.layers[i].transients(), turns[i]);
            let mut k = 0;
            while k < regions.len() {
                if regions[k].len > 0 && placed[i] >> k & 1 == 0 && turns[k] >= turn {
                    let size = regions[k].footprint();
                    if next.is_none() || turns[k] > turn || size > most {
                        (next, turn, most) = (Some((i, k)), turns[k], size);
                    }
                }
                k += 1;
            }
            i += 1;
        }
        next
    }

    /// The region at the lowest place that is free during its life.
    const fn fit(
        &self,
        base: u32,
        lives: &[Lives],
        placed: &[u8; N],
        shape: Region,
        life: Life,
    ) -> Result<Region, TooLarge> {
        let size = shape.footprint();
        let (mut offset, mut end) = (base as u64, base as u64 + size);
        let mut i = 0;
        while i < self.len as usize {
            let (others, lives) = (self.layers[i].transients(), lives[i]);
            let (mut k, mut moved, mut rest) = (0, false, placed[i]);
            while rest > 0 {
                let other = others[k];
                if rest & 1 == 1
                    && lives[k].meets(life)
                    && (other.offset() as u64) < end
                    && offset < other.end()
                {
                    offset = other.end();
                    end = offset + size;
                    moved = true;
                }
                k += 1;
                rest >>= 1;
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
        // First and last byte of each: builds ask for them often. What has a place ends within 31 bits.
        let mut taken = [[(0u32, 0u32); 5]; N];
        let (mut count, mut i) = (0, 0);
        while i < self.len as usize {
            let (regions, lives) = (self.layers[i].transients(), lives[i]);
            let mut k = 0;
            while k < regions.len() {
                if regions[k].len > 0 && lives[k].at(time) {
                    taken[count / 5][count % 5] = (regions[k].offset(), regions[k].end() as u32);
                    count += 1;
                }
                k += 1;
            }
            i += 1;
        }
        let mut best = self.shared.scratch;
        let mut i = 0;
        while i <= count {
            // A gap begins at the start, or where something ends.
            let start = if i == 0 { base } else { taken[(i - 1) / 5][(i - 1) % 5].1 };
            let (mut end, mut k) = (self.ram as u32, 0);
            while k < count {
                let other = taken[k / 5][k % 5];
                if other.1 > start && other.0 < end {
                    end = if other.0 < start { start } else { other.0 };
                }
                k += 1;
            }
            let room = end.saturating_sub(start) / 4;
            let len = if room < MOST_SPARE { room } else { MOST_SPARE };
            if len > best.len {
                best = Region::new(start, len, Width::I32);
            }
            i += 1;
        }
        best
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
const MOST_SPARE: u32 = 1024;

/// Layers times rounds in which places are tried: a build finds them too, and shall not take long.
const TRIED: usize = 96;

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
