//! The list of layers. A new one is a file and a line here.

use serde::{Deserialize, Serialize};

use super::{
    AvgPool2d, Conv2d, Dense, Facts, Flatten, GlobalAvgPool, Input, MaxPool2d, Misfit, Relu,
};
use crate::{tensor::Shape, uses::Part};

/// Makes [`Kind`] of layers, which all have `facts`, and of the words that configurations use.
macro_rules! layers {
    ($($(#[$doc:meta])* $layer:ident = $word:literal,)*) => {
        /// What a layer does.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[cfg_attr(feature = "defmt", derive(defmt::Format))]
        #[non_exhaustive]
        pub enum Kind {
            $($(#[$doc])* $layer($layer),)*
        }

        impl Kind {
            /// The words of all kinds, in the order of the list.
            pub const WORDS: &[&str] = &[$($word),*];

            /// The word that configurations use.
            pub const fn word(self) -> &'static str {
                match self {
                    $(Self::$layer(_) => $word,)*
                }
            }

            /// The place in the list.
            const fn tag(self) -> Tag {
                match self {
                    $(Self::$layer(_) => Tag::$layer,)*
                }
            }

            /// What the layer makes of an input of this shape, or why it cannot read it.
            pub const fn facts(self, from: Shape) -> Result<Facts, Misfit> {
                match self {
                    $(Self::$layer(layer) => layer.facts(from),)*
                }
            }
        }

        /// A kind without its settings.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Tag {
            $(
                #[doc = $word]
                $layer,
            )*
        }

        $(impl From<$layer> for Kind {
            fn from(layer: $layer) -> Self {
                Self::$layer(layer)
            }
        })*

        /// Calls a function of [`Operator`](super::Operator), where the kind of layer is linked.
        macro_rules! operate_on {
            ($kind:expr, $uses:ty, $layer_name:ident => $call:expr) => {
                match $kind {
                    $($crate::layer::Kind::$layer($layer_name)
                        if <$uses>::links($crate::layer::Tag::$layer) => $call,)*
                    _ => {}
                }
            };
        }
    };
}

// New layers go to the end, since the place is the byte form.
layers! {
    /// Takes the samples in. Always the first layer, and only the first.
    Input = "data",
    /// Fully connected.
    Dense = "dense",
    /// `max(x, 0)`.
    Relu = "relu",
    /// Any shape to a vector.
    Flatten = "flatten",
    /// A convolution over pictures.
    Conv2d = "conv2d",
    /// The largest number of every window.
    MaxPool2d = "max_pool2d",
    /// The mean of every window.
    AvgPool2d = "avg_pool2d",
    /// The mean of every channel.
    GlobalAvgPool = "global_avg_pool",
}
pub(crate) use operate_on as operate;

impl Kind {
    /// The kind as a set of one, beside the parts of the trainer.
    pub(crate) const fn bit(self) -> u64 {
        self.tag().bit()
    }

    /// The kinds that every trainer has.
    pub(crate) const PLAIN: u64 =
        Tag::Input.bit() | Tag::Dense.bit() | Tag::Relu.bit() | Tag::Flatten.bit();
}

impl Tag {
    /// See [`Kind::bit`].
    #[inline(always)]
    pub(crate) const fn bit(self) -> u64 {
        1 << (Part::COUNT + self as u32)
    }
}
