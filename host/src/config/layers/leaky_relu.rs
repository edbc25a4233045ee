//! `leaky_relu: { shift: 3 }`.

use fixgrad::graph::LeakyRelu;

use super::{Words, Writes, keys::keys};

keys! {
    /// A ReLU that lets a part of negative numbers through.
    #[schemars(extend("required" = ["shift"]))]
    LeakyReluKeys {
        /// The slope of negative numbers is two to minus this: 3 for an eighth.
        shift: u8,
    }
}

impl Words for LeakyRelu {
    type Keys = LeakyReluKeys;
    const NEEDS: &str = "a `shift`";
    const EXAMPLE: &str = "{ shift: 3 }";

    fn read(keys: &LeakyReluKeys) -> Option<Self> {
        keys.shift.map(Self::new)
    }
}

impl Writes for LeakyRelu {
    fn write(self) -> LeakyReluKeys {
        LeakyReluKeys { shift: Some(self.shift), ..LeakyReluKeys::default() }
    }
}
