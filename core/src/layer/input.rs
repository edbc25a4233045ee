//! Takes the samples in.

use serde::{Deserialize, Serialize};

use super::{Facts, Misfit, Operator, Output};
use crate::tensor::Shape;

/// Takes the samples in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Input;

impl Input {
    /// Samples are new numbers.
    pub const fn facts(self, from: Shape) -> Result<Facts, Misfit> {
        Ok(Facts { output: Output::Sums, ..Facts::in_place(from) })
    }
}

impl Operator for Input {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_keep_their_shape_and_are_new_numbers() {
        let facts = Input.facts(Shape([3, 4, 5])).unwrap();
        assert_eq!((facts.shape, facts.output), (Shape([3, 4, 5]), Output::Sums));
        assert_eq!((facts.weights(), facts.biases, facts.macs()), (0, 0, 0));
    }
}
