//! Any shape to a vector.

use serde::{Deserialize, Serialize};

use super::{Facts, Misfit, Operator};
use crate::tensor::Shape;

/// Any shape to a vector: pixel after pixel, the channels of a pixel side by side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Flatten;

impl Flatten {
    /// As many numbers as there were.
    pub const fn facts(self, from: Shape) -> Result<Facts, Misfit> {
        let numbers = from.elements();
        if numbers > u16::MAX as usize {
            return Err(Misfit::Length);
        }
        Ok(Facts::in_place(Shape::vector(numbers as u16)))
    }
}

impl Operator for Flatten {}
