//! The list of layers. A new one is a file and a line here.

use serde::{Deserialize, Serialize};

use super::{
    Add, AvgPool2d, BatchNorm, Concat, Conv2d, Dense, Dropout, Facts, Flatten, GlobalAvgPool,
    Hardsigmoid, Hardtanh, Input, LeakyRelu, Lstm, MaxPool2d, Misfit, Relu, Relu6, Sigmoid, Split,
    Tanh,
};
use crate::{tensor::Shape, uses::Part};

/// Makes [`Kind`] of layers, which all have `facts` of one input or of two, and of the words that
/// configurations use.
macro_rules! layers {
    ($from:ident, $other:ident: $($(#[$doc:meta])* $layer:ident($($input:ident),*) = $word:literal,)*) => {
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

            /// The kinds that read two outputs.
            pub(crate) const JOINS: u64 = {
                0 $(| if [$(stringify!($input)),*].len() > 1 { Tag::$layer.bit() } else { 0 })*
            };

            /// The place in the list.
            const fn tag(self) -> Tag {
                match self {
                    $(Self::$layer(_) => Tag::$layer,)*
                }
            }

            /// What the layer makes of an input of this shape, or why it cannot read it. `other` is
            /// the shape of the second input, where there is one.
            pub const fn facts(self, $from: Shape, $other: Shape) -> Result<Facts, Misfit> {
                match self {
                    $(Self::$layer(layer) => layer.facts($($input),*),)*
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
layers! { from, other:
    /// Takes the samples in. Always the first layer, and only the first.
    Input(from) = "data",
    /// Fully connected.
    Dense(from) = "dense",
    /// `max(x, 0)`.
    Relu(from) = "relu",
    /// Any shape to a vector.
    Flatten(from) = "flatten",
    /// A convolution over pictures.
    Conv2d(from) = "conv2d",
    /// The largest number of every window.
    MaxPool2d(from) = "max_pool2d",
    /// The mean of every window.
    AvgPool2d(from) = "avg_pool2d",
    /// The mean of every channel.
    GlobalAvgPool(from) = "global_avg_pool",
    /// The sum of two outputs.
    Add(from, other) = "add",
    /// The channels of two outputs side by side.
    Concat(from, other) = "concat",
    /// Some of the channels.
    Split(from) = "split",
    /// `min(max(x, 0), 6)`.
    Relu6(from) = "relu6",
    /// Cut at two borders.
    Hardtanh(from) = "hardtanh",
    /// Negative numbers count less.
    LeakyRelu(from) = "leaky_relu",
    /// `1 / (1 + exp(-x))`.
    Sigmoid(from) = "sigmoid",
    /// From -1 to 1, smoothly.
    Tanh(from) = "tanh",
    /// `relu6(x + 3) / 6`.
    Hardsigmoid(from) = "hardsigmoid",
    /// Leaves numbers out at random.
    Dropout(from) = "dropout",
    /// Mean zero and variance one in every channel, then times a weight, plus a bias.
    BatchNorm(from) = "batch_norm",
    /// Cells that go through a sequence and remember.
    Lstm(from) = "lstm",
}
pub(crate) use operate_on as operate;

impl Kind {
    /// The kind as a set of one, beside the parts of the trainer.
    pub(crate) const fn bit(self) -> u64 {
        self.tag().bit()
    }

    /// Whether the layer reads two outputs.
    pub const fn joins(self) -> bool {
        self.bit() & Self::JOINS != 0
    }

    /// Whether the layer asks its own output, in its place, which gradients pass: nothing above may
    /// change it.
    pub(crate) const fn keeps_output(self) -> bool {
        self.bit() & Self::KEEPERS != 0
    }

    /// Whether the layer asks its output which gradients pass.
    pub(crate) const fn blocks(self) -> bool {
        self.bit() & (Self::KEEPERS | Tag::Relu.bit()) != 0
    }

    /// Whether the layer looks at its input once more on the way back, with or without weights that move.
    pub(crate) const fn keeps_input(self) -> bool {
        matches!(self, Self::BatchNorm(_))
    }

    /// The kinds that [keep their output](Self::keeps_output).
    pub(crate) const KEEPERS: u64 = Tag::Relu6.bit() | Tag::Hardtanh.bit() | Tag::LeakyRelu.bit();

    /// The kinds whose outputs are parts of one.
    pub(crate) const CURVES: u64 = Tag::Sigmoid.bit() | Tag::Tanh.bit() | Tag::Hardsigmoid.bit();

    /// The kinds whose outputs or gradients are multiplied by a factor.
    pub(crate) const SCALED: u64 =
        Self::CURVES | Tag::AvgPool2d.bit() | Tag::GlobalAvgPool.bit() | Tag::Dropout.bit();

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::{Padding, Scale};

    /// One layer of each kind, over pictures where it matters.
    const ALL: [Kind; 20] = [
        Kind::Input(Input),
        Kind::Dense(Dense::new(3)),
        Kind::Relu(Relu),
        Kind::Flatten(Flatten),
        Kind::Conv2d(Conv2d::new(3, 2).padding(Padding::Same)),
        Kind::MaxPool2d(MaxPool2d::new(2)),
        Kind::AvgPool2d(AvgPool2d::new(2)),
        Kind::GlobalAvgPool(GlobalAvgPool),
        Kind::Add(Add),
        Kind::Concat(Concat),
        Kind::Split(Split::new(0, 1)),
        Kind::Relu6(Relu6),
        Kind::Hardtanh(Hardtanh::new()),
        Kind::LeakyRelu(LeakyRelu::new(3)),
        Kind::Sigmoid(Sigmoid),
        Kind::Tanh(Tanh),
        Kind::Hardsigmoid(Hardsigmoid),
        Kind::Dropout(Dropout::new(1, 2)),
        Kind::BatchNorm(BatchNorm::new()),
        Kind::Lstm(Lstm::new(2)),
    ];

    /// A task links a factor and a table where it has a kind of these sets, so a kind that is missing
    /// would be wrong on a chip alone.
    #[test]
    fn sets_of_kinds_are_what_facts_say() {
        assert!(ALL.iter().map(|kind| kind.word()).eq(Kind::WORDS.iter().copied()));
        for kind in ALL {
            let shape = Shape([2, 4, 4]);
            let facts = kind.facts(shape, shape).unwrap();
            let is_in = |set| kind.bit() & set != 0;
            let curve = matches!(facts.scale, Scale::Curve { .. });
            assert_eq!(is_in(Kind::CURVES), curve, "{}", kind.word());
            assert_eq!(is_in(Kind::SCALED), facts.scale != Scale::Mean(1), "{}", kind.word());
            // What reads two outputs cannot take any second one.
            let other = Shape([2, 9, 9]);
            let refuses = kind.facts(shape, other).is_err();
            assert_eq!((is_in(Kind::JOINS), kind.joins()), (refuses, refuses), "{}", kind.word());
        }
    }
}
