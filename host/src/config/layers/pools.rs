//! `max_pool2d: { kernel: 2 }` and `avg_pool2d: { kernel: 2 }`.

use fixgrad::graph::{AvgPool2d, MaxPool2d};

use super::{Words, Writes, keys::keys};
use crate::config::windows::{PaddingEntry, Pair};

keys! {
    /// A layer that takes one number from every window.
    #[schemars(extend("required" = ["kernel"]))]
    PoolKeys {
        /// Pixels of a window.
        kernel: Pair,
        /// Pixels from one window to the next; by default those of the kernel.
        stride: Pair,
        /// Room around the picture; `valid`, which is none, by default.
        padding: PaddingEntry,
    }
}

macro_rules! pools {
    ($($layer:ident),*) => {
        $(impl Words for $layer {
            type Keys = PoolKeys;
            const NEEDS: &str = "a `kernel`";
            const EXAMPLE: &str = "{ kernel: 2 }";

            fn read(keys: &PoolKeys) -> Option<Self> {
                let Pair(kernel) = keys.kernel?;
                let stride = keys.stride.map_or(kernel, |stride| stride.0);
                Some(Self { kernel, stride, padding: keys.padding.unwrap_or_default().0 })
            }
        }

        impl Writes for $layer {
            fn write(self) -> PoolKeys {
                PoolKeys {
                    kernel: Some(Pair(self.kernel)),
                    stride: Some(Pair(self.stride)),
                    padding: Some(PaddingEntry(self.padding)),
                    ..PoolKeys::default()
                }
            }
        })*
    };
}
pools!(MaxPool2d, AvgPool2d);
