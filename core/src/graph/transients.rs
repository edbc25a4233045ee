//! What lives for a part of a step: tensors that are never alive at the same time share memory.

use super::{
    cursor::TooLarge,
    plan::{Plan, storage, trains},
    region::Region,
    sizes::HookNeeds,
    view::GraphView,
};
use crate::{config::LayerConfig, tensor::Width};

impl<const N: usize> Plan<N> {
    /// Finds places for the activation, the mask and the gradients of layer `i`.
    pub(super) const fn place_transients(
        &mut self,
        base: u32,
        graph: GraphView<'_>,
        i: usize,
        config: &LayerConfig,
        hooks: &[HookNeeds],
    ) -> Result<(), TooLarge> {
        let n = graph.layers().len() as u16;
        let here = i as u16;
        let numbers = self.micro_batch as usize * graph.layers()[i].shape.elements();
        let off = i < hooks.len() && hooks[i].activation_off_grid;
        if let Some(point) = config.activation {
            let last_use = if here + 1 == n { n } else { 2 * n - here - 1 };
            let width = storage(point.bits(), off);
            let life = (here, max_u16(last_use, n));
            self.layers[i].activation =
                attempt!(self.fit(base, Region::sized(numbers, width, life)));
            if point.clip && trains(graph, i) {
                let life = (here, 2 * n - here);
                let mask = Region::sized(numbers.div_ceil(8), Width::I8, life);
                self.layers[i].pass = attempt!(self.fit(base, mask));
            }
        }
        if let (Some(grad), true) = (config.activation_grad, trains(graph, i)) {
            let mut above = i + 1;
            while above < n as usize && graph.layer_parameters(above).0 == 0 {
                above += 1;
            }
            let life = (2 * n - above as u16, 2 * n - here);
            let width = Width::for_bits(grad.bits);
            self.layers[i].grad = attempt!(self.fit(base, Region::sized(numbers, width, life)));
            if self.layers[i].spread > 0 {
                let life = (2 * n - here, 2 * n - here);
                let aligned = Region::sized(numbers, Width::I16, life);
                self.layers[i].aligned_grad = attempt!(self.fit(base, aligned));
            }
        }
        Ok(())
    }

    /// Moves a region to the lowest place that no living tensor occupies.
    const fn fit(&self, base: u32, shape: Region) -> Result<Region, TooLarge> {
        let mut offset = base as u64;
        let mut i = 0;
        while i < self.len as usize {
            let others = self.layers[i].transients();
            let (mut k, mut moved) = (0, false);
            while k < others.len() {
                let other = others[k];
                let together = other.life.0 <= shape.life.1 && shape.life.0 <= other.life.1;
                let overlap =
                    (other.offset as u64) < offset + shape.footprint() && offset < other.end();
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

const fn max_u16(a: u16, b: u16) -> u16 {
    if a > b { a } else { b }
}
