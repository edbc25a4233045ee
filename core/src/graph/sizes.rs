//! What decides memory besides the layers' own settings: batches, tiles, and what strategies need.

use crate::{config::Train, tensor::Width};

/// What decides memory besides the layers' own settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Samples of one step.
    pub batch: u16,
    /// Samples in memory at once.
    pub micro_batch: u16,
    /// Storage of the velocity, if any.
    pub velocity: Option<Width>,
    /// Storage of gradient sums over micro-batches.
    pub sums: Width,
    /// See [`Train::recompute`].
    pub recompute: bool,
    /// 32-bit sums in memory at once where the range rule allows pieces. More is faster on a
    /// desktop and changes no result. At least one row of each layer always fits.
    pub tile: usize,
}

impl Sizes {
    /// The sizes of a run, with the smallest tiles.
    pub const fn of(train: &Train) -> Self {
        Self {
            batch: train.batch,
            micro_batch: train.micro_batch,
            velocity: if train.has_velocity() { Some(train.velocity) } else { None },
            sums: train.sums,
            recompute: train.recompute,
            tile: 0,
        }
    }

    /// True where sums of micro-batches have 16 bits: memory is so short that time goes for it.
    pub(super) const fn is_short(self) -> bool {
        self.micro_batch < self.batch && matches!(self.sums, Width::I16)
    }

    /// With larger tiles.
    #[must_use]
    pub const fn tile(self, tile: usize) -> Self {
        Self { tile, ..self }
    }
}

/// Which hooks of a layer need memory of their own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HookNeeds {
    /// A strategy works on the weights.
    pub weight: bool,
    /// A strategy leaves weights between the codes.
    pub weight_off_grid: bool,
    /// A strategy works on the activations.
    pub activation: bool,
    /// A strategy leaves activations between the codes.
    pub activation_off_grid: bool,
}

impl HookNeeds {
    /// No strategy.
    pub const NONE: Self = Self {
        weight: false,
        weight_off_grid: false,
        activation: false,
        activation_off_grid: false,
    };

    /// What a strategy needs that says nothing else: it may work everywhere, and what it leaves is
    /// rounded to the grid of the codes.
    pub const ANYWHERE: Self = Self { weight: true, activation: true, ..Self::NONE };
}
