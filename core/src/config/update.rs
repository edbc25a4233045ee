//! Which parameters of a layer move in training.

use core::ops::Range;

use serde::{Deserialize, Serialize};

/// Which parameters of a layer move in training. What does not move has no gradient, no velocity and
/// no sum in memory, and what only its gradient would need is given up earlier.
///
/// Sparse updates are those of Lin et al. 2022, "On-Device Training Under 256KB Memory", section 3.2;
/// biases alone are those of Cai et al. 2020, "TinyTL", section 3.2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[serde(rename_all = "snake_case")]
pub enum Update {
    /// All of them.
    #[default]
    All,
    /// Biases, and no weights: the input need not be kept for the way back.
    Bias,
    /// The weights and biases of some output channels.
    Channels {
        /// The first of them.
        first: u16,
        /// How many.
        count: u16,
    },
    /// None.
    Nothing,
}

impl Update {
    /// Rows of a weight of `units` rows that move.
    pub(crate) const fn rows(self, units: usize) -> Range<usize> {
        match self {
            Self::All => 0..units,
            Self::Bias | Self::Nothing => 0..0,
            Self::Channels { first, count } => first as usize..first as usize + count as usize,
        }
    }

    /// Numbers of a bias of `units` numbers that move.
    pub(crate) const fn biases(self, units: usize) -> Range<usize> {
        match self {
            Self::Bias => 0..units,
            Self::Channels { .. } if units == 0 => 0..0,
            _ => self.rows(units),
        }
    }

    /// True where these channels are among the `units` that there are.
    pub(super) const fn fits(self, units: usize) -> bool {
        match self {
            Self::Channels { first, count } => {
                count > 0 && first as usize + count as usize <= units
            }
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_word_moves_its_rows() {
        let some = Update::Channels { first: 2, count: 3 };
        let moved = |update: Update, biases| (update.rows(8), update.biases(biases));
        assert_eq!(moved(Update::All, 8), (0..8, 0..8));
        assert_eq!(moved(Update::Bias, 8), (0..0, 0..8));
        assert_eq!(moved(some, 8), (2..5, 2..5));
        assert_eq!(moved(some, 0), (2..5, 0..0));
        assert_eq!(moved(Update::Nothing, 8), (0..0, 0..0));
        assert!(some.fits(5) && !some.fits(4) && Update::Bias.fits(0));
        assert!(!Update::Channels { first: 0, count: 0 }.fits(4));
    }
}
