//! What a layer that goes through time takes besides its parameters: what it keeps of every step, room
//! for one step, and the bound of its gradients.

use super::{plan::max, region::Region, view::GraphView};
use crate::{
    layer::{Kind, Lstm},
    quant::Point,
    tensor::{Shape, Width},
};

/// Words of the bound of the gates' gradients, kept for ever.
pub(crate) const BOUND_WORDS: usize = 5;

/// Sums of a sample in one step, for each unit: two products of every gate.
pub(crate) const STEP_SUMS: usize = 8;

/// Samples that take a step together at least, where there are as many: kernels take four rows at a time.
const TOGETHER: usize = 4;

/// What is kept of all steps and samples in memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memories {
    /// The states that steps left.
    pub(crate) states: Region,
    /// The gates of steps, four for every unit.
    pub(crate) gates: Region,
    /// Hidden states from before steps.
    pub(crate) hidden: Region,
}

impl Memories {
    /// Of so many cells, steps and samples multiplied, from where `memo` begins.
    pub(crate) const fn of(memo: Region, cells: usize, hidden: Width) -> Self {
        let cells = if cells > u32::MAX as usize { u32::MAX } else { cells as u32 };
        let states = Region::new(memo.offset(), cells, Width::I16);
        let gates = Region::new(states.end() as u32, cells.saturating_mul(4), Width::I8);
        let hidden = Region::new(gates.end() as u32, cells, hidden);
        Self { states, gates, hidden }
    }

    /// Bytes of them.
    pub(super) const fn bytes(cells: usize, hidden: Width) -> usize {
        cells.saturating_mul(2).saturating_add(2).saturating_add(
            cells.saturating_mul(4).saturating_add(cells.saturating_mul(hidden.bytes())),
        )
    }
}

impl GraphView<'_> {
    /// The layer and the shape that it reads, where layer `index` goes through time.
    pub(super) const fn lstm(self, index: usize) -> Option<(Lstm, Shape)> {
        let Some(layer) = self.layer(index) else { return None };
        match (layer.kind, self.layer(layer.input as usize)) {
            (Kind::Lstm(lstm), Some(from)) => Some((lstm, from.shape)),
            _ => None,
        }
    }

    /// Whether layer `index` makes the gradients of whole inputs: it sees them as vectors, or the rows of a
    /// picture as steps.
    pub(super) const fn takes_inputs_whole(self, index: usize) -> bool {
        match (self.layer(index), self.lstm(index)) {
            (_, Some((_, Shape([_, height, _])))) => height > 1,
            (Some(layer), _) => matches!(layer.kind, Kind::Dense(_)),
            _ => false,
        }
    }
}

/// Storage of hidden states: their codes are as wide as it is.
pub(crate) const fn hidden_width(activation: Point) -> Width {
    Width::for_bits(activation.bits())
}

/// Words for a step of some samples, of which there may be `tile` sums at once.
pub(super) const fn step_words(lstm: Lstm, from: Shape, samples: usize, tile: usize) -> usize {
    let (features, _) = Lstm::line(from);
    let units = lstm.units as usize;
    let sample = STEP_SUMS * units;
    let fitting = max(tile / max(sample, 1), TOGETHER);
    let together = if samples < fitting { samples } else { fitting };
    // Rows of a weight's gradient on their way, as many at once.
    max(sample * together, TOGETHER * max(features, units))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memories_lie_side_by_side_in_what_was_counted() {
        for cells in [1, 2, 3, 50] {
            for width in [Width::I8, Width::I16] {
                let Memories { states, gates, hidden } =
                    Memories::of(Region::new(8, 0, Width::I8), cells, width);
                assert_eq!(states.offset(), 8);
                assert!(states.range().end <= gates.offset() as usize);
                assert!(gates.range().end <= hidden.offset() as usize);
                assert!(hidden.range().end <= 8 + Memories::bytes(cells, width));
            }
        }
    }
}
