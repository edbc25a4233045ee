//! Long short-term memory: Hochreiter and Schmidhuber 1997, with the forget gate of Gers, Schmidhuber
//! and Cummins 2000.
//!
//! | tensor | shape |
//! |---|---|
//! | input `x` | samples by steps by features |
//! | weight | gates i, f, g, o of all units, by features and then units |
//! | bias | gates of all units |
//! | hidden state `h`, cell state `c` | samples by steps by units |
//! | output | samples by units, or as `h` |
//!
//! What a cell does in one step is in [`cell`](super::cell), and the way through time in the trainer.

use serde::{Deserialize, Serialize};

use super::{Facts, InputGrad, Misfit, Operator, Output, Scale, Terms, dense::product};
use crate::{
    kernel::Kernel,
    tensor::{Matrix, Shape, Windows},
    uses::Uses,
};

/// A layer of cells that go through a sequence and remember.
///
/// It reads lines, of a shape `[features, 1, steps]`, or pictures: then every row is a step, with all
/// channels of its pixels as features. Both states are zero before the first step of every sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Lstm {
    /// Cells, and numbers in one output.
    pub units: u16,
    /// The steps whose hidden states are the output.
    pub returns: Returns,
    /// Gradients go back through so many steps at most; zero for all.
    pub truncate: u16,
}

/// The steps whose hidden states are the output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[serde(rename_all = "snake_case")]
pub enum Returns {
    /// The last one.
    #[default]
    Last,
    /// All of them.
    Sequence,
}

impl Lstm {
    /// The last hidden state of so many cells, and gradients through the whole sequence.
    pub const fn new(units: u16) -> Self {
        Self { units, returns: Returns::Last, truncate: 0 }
    }

    /// With the hidden states of all steps.
    #[must_use]
    pub const fn sequence(self) -> Self {
        Self { returns: Returns::Sequence, ..self }
    }

    /// With gradients that go back through `steps` steps at most.
    #[must_use]
    pub const fn truncate(self, steps: u16) -> Self {
        Self { truncate: steps, ..self }
    }

    /// Features of a step, and how many steps an input of this shape has.
    pub(crate) const fn line(from: Shape) -> (usize, usize) {
        let [channels, height, width] = from.0;
        match height {
            1 => (channels as usize, width as usize),
            _ => (channels as usize * width as usize, height as usize),
        }
    }

    /// Whether the hidden state of the last step is the only output.
    pub(crate) const fn is_last(self) -> bool {
        matches!(self.returns, Returns::Last)
    }

    /// Whether gradients stop between a step and the one before it, of `steps`. Pieces are counted from
    /// the end, so that the last one is whole.
    pub(crate) fn stops_before(self, step: usize, steps: usize) -> bool {
        let piece = usize::from(self.truncate);
        piece > 0 && steps.saturating_sub(step).checked_rem(piece) == Some(0)
    }

    /// A row of weights for every gate of every unit.
    pub const fn facts(self, from: Shape) -> Result<Facts, Misfit> {
        let (features, steps) = Self::line(from);
        let units = self.units as usize;
        if units == 0 {
            return Err(Misfit::Zero);
        }
        let [channels, height, width] = from.0;
        if height == 1 && width == 1 && channels > 1 {
            return Err(Misfit::Steps);
        }
        Ok(Facts {
            shape: Shape([self.units, 1, if self.is_last() { 1 } else { steps as u16 }]),
            output: Output::Sums,
            weights: [4 * units, features + units],
            biases: 4 * units,
            terms: Terms {
                forward: if features > units { features } else { units },
                backward: 4 * units,
            },
            windows: Windows::POINT,
            patch: 0,
            scale: Scale::Mean(1),
            memo: 0,
            steps,
        })
    }
}

impl Operator for Lstm {
    /// The gradient is that of the gates in all steps.
    #[inline(always)]
    fn input_grad<K: Kernel, U: Uses>(self, run: InputGrad<'_, K>) {
        let InputGrad { kernel, from, depth, samples, grad, weight, drop, first, sums, .. } = run;
        let (features, steps) = Self::line(from);
        let (gates, features) = (4 * usize::from(self.units), features.max(1));
        let (first, rows) = (first / features, sums.len() / features);
        let grad = Matrix::new(grad, samples * steps, gates).row_range(first, rows);
        let weight = Matrix::columns(weight, gates, depth, 0, features);
        product::<K, U>(kernel, grad, weight, drop, false, sums);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_rows_of_pictures_are_steps() {
        let facts = |lstm: Lstm, from| lstm.facts(Shape(from));
        let last = facts(Lstm::new(5), [3, 1, 7]).unwrap();
        assert_eq!((last.shape, last.steps), (Shape([5, 1, 1]), 7));
        assert_eq!((last.weights, last.biases, last.macs()), ([20, 8], 20, 7 * 20 * 8));
        let all = facts(Lstm::new(5).sequence(), [2, 4, 6]).unwrap();
        assert_eq!((all.shape, all.weights), (Shape([5, 1, 4]), [20, 12 + 5]));
        assert_eq!(facts(Lstm::new(0), [3, 1, 7]), Err(Misfit::Zero));
        assert_eq!(facts(Lstm::new(5), [21, 1, 1]), Err(Misfit::Steps));
    }

    #[test]
    fn pieces_are_counted_from_the_end() {
        let stops = |truncate, steps| {
            let lstm = Lstm::new(1).truncate(truncate);
            (1..steps).filter(|&step| lstm.stops_before(step, steps)).collect::<std::vec::Vec<_>>()
        };
        assert_eq!(stops(3, 8), [2, 5]);
        assert_eq!(stops(4, 8), [4]);
        assert_eq!(stops(1, 4), [1, 2, 3]);
        assert!(stops(0, 8).is_empty() && stops(8, 8).is_empty());
    }
}
