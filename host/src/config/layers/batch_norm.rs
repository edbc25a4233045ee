//! `batch_norm`, or `batch_norm: { momentum: 0.125, eps: 1.0e-5, frozen: true }`.

use fixgrad::graph::BatchNorm;

use super::{Words, Writes, keys::keys};
use crate::config::number::{octaves, octaves_value, shortest};

keys! {
    /// A layer that normalises every channel.
    BatchNormKeys {
        /// The share by which running means and variances move towards those of a batch: the nearest
        /// power of two from 2^-15 to 1 is taken. 0.125 by default.
        momentum: f64,
        /// What is added to variances: the nearest power of two from 2^-24 to 0.5 is taken. 2^-17, near
        /// 1.0e-5, by default.
        eps: f64,
        /// Whether training, too, uses the running means and variances, and leaves them as they are.
        frozen: bool,
    }
}

impl Words for BatchNorm {
    type Keys = BatchNormKeys;

    fn read(keys: &BatchNormKeys) -> Option<Self> {
        let default = Self::new();
        // What is no power within reach is refused as one that is too small.
        let power = |value: Option<f64>, or| value.map_or(or, |v| octaves(v).unwrap_or(u8::MAX));
        Some(Self {
            momentum: power(keys.momentum, default.momentum),
            eps: power(keys.eps, default.eps),
            frozen: keys.frozen.unwrap_or(default.frozen),
        })
    }
}

impl Writes for BatchNorm {
    fn write(self) -> BatchNormKeys {
        let value = |power| Some(shortest(octaves_value(power), octaves));
        BatchNormKeys {
            momentum: value(self.momentum),
            eps: value(self.eps),
            frozen: Some(self.frozen),
            ..BatchNormKeys::default()
        }
    }
}
