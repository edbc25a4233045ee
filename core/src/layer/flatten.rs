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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::Output;

    #[test]
    fn numbers_stay_where_they_are_and_are_as_many_as_a_vector_has() {
        let facts = Flatten.facts(Shape([3, 4, 5])).unwrap();
        assert_eq!((facts.shape, facts.output), (Shape::vector(60), Output::InPlace));
        assert!(Flatten.facts(Shape([255, 257, 1])).is_ok());
        assert_eq!(Flatten.facts(Shape([256, 256, 1])), Err(Misfit::Length));
        assert_eq!(Flatten.facts(Shape([u16::MAX; 3])), Err(Misfit::Length));
    }
}
