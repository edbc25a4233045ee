//! `dense: { units: 10 }`.

use fixgrad::graph::Dense;

use super::{Words, Writes, keys::weighted_keys};

weighted_keys! {
    /// A fully connected layer.
    DenseKeys, DenseDefaults {
        /// Numbers in one output.
        units: u16,
    }
}

impl Words for Dense {
    type Keys = DenseKeys;
    const NEEDS: &str = "`units`";
    const EXAMPLE: &str = "{ units: 10 }";

    fn read(keys: &DenseKeys) -> Option<Self> {
        Some(Self { units: keys.units?, bias: keys.bias.unwrap_or(true) })
    }
}

impl Writes for Dense {
    fn write(self) -> DenseKeys {
        DenseKeys { units: Some(self.units), bias: Some(self.bias), ..DenseKeys::default() }
    }
}
