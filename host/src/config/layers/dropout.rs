//! `dropout: { share: 0.5 }`.

use fixgrad::graph::Dropout;

use super::{Words, Writes, keys::keys};
use crate::config::number::{share, share_value, shortest};

keys! {
    /// A layer that leaves numbers out at random, in training only.
    #[schemars(extend("required" = ["share"]))]
    DropoutKeys {
        /// How many of them: 0 for none, and at most 0.984.
        share: f64,
    }
}

impl Words for Dropout {
    type Keys = DropoutKeys;
    const NEEDS: &str = "a `share`";
    const EXAMPLE: &str = "{ share: 0.5 }";

    fn read(keys: &DropoutKeys) -> Option<Self> {
        // What is no share at all is refused as too large a one.
        keys.share.map(|part| Self { share: share(part).unwrap_or(u16::MAX) })
    }
}

impl Writes for Dropout {
    fn write(self) -> DropoutKeys {
        let part = shortest(share_value(self.share), share);
        DropoutKeys { share: Some(part), ..DropoutKeys::default() }
    }
}
