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

    fn refuse(keys: &BatchNormKeys) -> Option<[String; 2]> {
        let keras = |momentum: &f64| *momentum < 1.0 && octaves(*momentum) == Some(0);
        if let Some(momentum) = keys.momentum.filter(keras) {
            return Some([
                format!("a batch_norm layer with a momentum of {momentum}"),
                format!(
                    "it is the share of a new batch, as in PyTorch: write `momentum: {}` for what is \
                     {momentum} in Keras",
                    shortest(1.0 - momentum, octaves)
                ),
            ]);
        }
        let numbers = [
            ("a momentum", keys.momentum, 0..=15, "2^-15 to 1"),
            ("an eps", keys.eps, 1..=24, "2^-24 to 0.5"),
        ];
        numbers.into_iter().find_map(|(key, value, reach, words)| {
            let value = value.filter(|&v| octaves(v).is_none_or(|n| !reach.contains(&n)))?;
            Some([
                format!("a batch_norm layer with {key} of {value:?}"),
                format!("it is a power of two from {words}"),
            ])
        })
    }

    fn rounded(keys: &BatchNormKeys) -> Vec<(&'static str, f64, f64)> {
        let numbers = [("momentum", keys.momentum), ("eps", keys.eps)];
        let taken = |(key, value): (_, Option<f64>)| {
            let wanted = value?;
            Some((key, wanted, octaves_value(octaves(wanted)?)))
        };
        numbers.into_iter().filter_map(taken).collect()
    }

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
