//! `split: { channels: 8 }`.

use fixgrad::graph::Split;

use super::{Words, Writes, keys::keys};

keys! {
    /// A layer that hands some of the channels on.
    #[schemars(extend("required" = ["channels"]))]
    SplitKeys {
        /// The first channel; 0 by default.
        first: u16,
        /// How many.
        channels: u16,
    }
}

impl Words for Split {
    type Keys = SplitKeys;
    const NEEDS: &str = "`channels`";
    const EXAMPLE: &str = "{ first: 0, channels: 8 }";

    fn read(keys: &SplitKeys) -> Option<Self> {
        Some(Self { first: keys.first.unwrap_or(0), channels: keys.channels? })
    }
}

impl Writes for Split {
    fn write(self) -> SplitKeys {
        SplitKeys { first: Some(self.first), channels: Some(self.channels), ..SplitKeys::default() }
    }
}
