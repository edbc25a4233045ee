//! `hardtanh: { low: -1, high: 1 }`.

use fixgrad::graph::Hardtanh;

use super::{Words, Writes, keys::keys};

keys! {
    /// A layer that cuts numbers at two borders.
    HardtanhKeys {
        /// The lower border; -1 by default.
        low: i8,
        /// The upper border; 1 by default.
        high: i8,
    }
}

impl Words for Hardtanh {
    type Keys = HardtanhKeys;

    fn read(keys: &HardtanhKeys) -> Option<Self> {
        let usual = Self::new();
        let (low, high) = (keys.low.unwrap_or(usual.low), keys.high.unwrap_or(usual.high));
        Some(Self { low, high })
    }
}

impl Writes for Hardtanh {
    fn write(self) -> HardtanhKeys {
        HardtanhKeys { low: Some(self.low), high: Some(self.high), ..HardtanhKeys::default() }
    }
}
