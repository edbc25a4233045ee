//! `dropout: { p: 0.5 }`.

use fixgrad::graph::Dropout;

use super::{Words, Writes, keys::keys};
use crate::config::number::{share, share_value, shortest};

keys! {
    /// A layer that leaves numbers out at random, in training only.
    #[schemars(extend("required" = ["p"]))]
    DropoutKeys {
        /// The probability that a number is left out: 0 for none, and at most 0.984.
        p: f64,
    }
}

impl Words for Dropout {
    type Keys = DropoutKeys;
    const NEEDS: &str = "a `p`";
    const EXAMPLE: &str = "{ p: 0.5 }";

    fn refuse(keys: &DropoutKeys) -> Option<[String; 2]> {
        let p = keys.p.filter(|&p| share(p).is_none_or(|p| p > Self::MOST))?;
        Some([
            format!("a dropout layer with a p of {p}"),
            "it is the probability that a number is left out: 0 to 0.984".into(),
        ])
    }

    fn read(keys: &DropoutKeys) -> Option<Self> {
        // What is no probability at all is refused as too large a one.
        keys.p.map(|part| Self { p: share(part).unwrap_or(u16::MAX) })
    }
}

impl Writes for Dropout {
    fn write(self) -> DropoutKeys {
        let part = shortest(share_value(self.p), share);
        DropoutKeys { p: Some(part), ..DropoutKeys::default() }
    }
}
