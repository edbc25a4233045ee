//! The list of layers as they are written. A new one is a file and a line here, or, where there is
//! nothing to set, its name in [`plain`].

mod batch_norm;
mod clip;
mod conv1d;
mod conv2d;
mod dense;
mod depthwise_conv2d;
mod dropout;
mod joins;
mod keys;
mod leaky_relu;
mod lstm;
mod plain;
mod pools;
mod split;

use fixgrad::graph::{
    Add, AvgPool2d, BatchNorm, Concat, Conv2d, Dense, DepthwiseConv2d, Dropout, Flatten,
    GlobalAvgPool, Hardsigmoid, Hardtanh, Kind, LeakyRelu, Lstm, MaxPool2d, Relu, Relu6, Sigmoid,
    Split, Tanh,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::{
    batch_norm::BatchNormKeys,
    clip::HardtanhKeys,
    conv1d::{Conv1dDefaults, Conv1dKeys},
    conv2d::{Conv2dDefaults, Conv2dKeys},
    dense::{DenseDefaults, DenseKeys},
    depthwise_conv2d::{DepthwiseConv2dDefaults, DepthwiseConv2dKeys},
    dropout::DropoutKeys,
    joins::JoinKeys,
    leaky_relu::LeakyReluKeys,
    lstm::LstmKeys,
    plain::PlainKeys,
    pools::PoolKeys,
    split::SplitKeys,
};
pub(super) use conv1d::Conv1d;
pub(super) use keys::{Keys, Row};

use super::{at::At, fixed::LayerKeys, model::Written};

/// A layer in YAML.
trait Words: Sized {
    /// What can be said about it.
    type Keys: Keys;
    /// What is missing when nothing is said, with its article; empty where nothing is.
    const NEEDS: &str = "";
    /// Settings that say enough.
    const EXAMPLE: &str = "{}";

    /// The layer that is meant; none where something that it [needs](Self::NEEDS) is missing.
    fn read(keys: &Self::Keys) -> Option<Self>;

    /// What is wrong and what to write, where what is said has a meaning elsewhere and none here.
    fn refuse(_: &Self::Keys) -> Option<[String; 2]> {
        None
    }

    /// The numbers for which others are taken: their key, and both.
    fn rounded(_: &Self::Keys) -> Vec<(&'static str, f64, f64)> {
        Vec::new()
    }
}

/// A layer of a graph, which is written by a word of its own.
trait Writes: Words + Into<Kind> {
    /// Everything about a layer.
    fn write(self) -> Self::Keys;
}

/// Makes of layers, which have [`Words`], all that lists them. The last ones are other words for layers
/// of the graph: which, they say when the shape is known that they read.
macro_rules! layers {
    (
        $(#[doc = $doc:literal] $word:ident: $layer:ident($keys:ident $(, $defaults:ident)?),)*
        else $(#[doc = $more_doc:literal] $more:ident: $form:ident($more_keys:ident, $more_defaults:ident),)*
    ) => {
        /// A layer as a mapping from its kind to its settings.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum LayerMapping {
            $(#[doc = $doc] $layer($keys),)*
            $(#[doc = $more_doc] $form($more_keys),)*
        }

        /// What layers have unless they say otherwise.
        #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub struct Defaults {
            $($(
                #[doc = $doc]
                #[serde(default, skip_serializing_if = "Option::is_none")]
                pub $word: Option<$defaults>,
            )?)*
            $(
                #[doc = $more_doc]
                #[serde(default, skip_serializing_if = "Option::is_none")]
                pub $more: Option<$more_defaults>,
            )*
        }

        /// Settings by kind of layer.
        #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub struct ByKind {
            /// The samples.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub data: Option<At<LayerKeys>>,
            $(
                #[doc = $doc]
                #[serde(default, skip_serializing_if = "Option::is_none")]
                pub $word: Option<At<LayerKeys>>,
            )*
        }

        impl ByKind {
            /// The settings of every kind, by its word.
            pub(super) fn iter(&self) -> impl Iterator<Item = (&'static str, &At<LayerKeys>)> {
                let all = [("data", &self.data), $((stringify!($word), &self.$word)),*];
                all.into_iter().filter_map(|(kind, keys)| Some((kind, keys.as_ref()?)))
            }
        }

        impl LayerMapping {
            /// The words of all kinds.
            pub(super) const WORDS: &[&str] = &[$(stringify!($word),)* $(stringify!($more)),*];

            /// A layer about which nothing is said, or what is missing and what to write. None for
            /// a strange word.
            pub(super) fn alone(word: &str) -> Option<Result<Self, [String; 2]>> {
                match word {
                    $(stringify!($word) => {
                        let layer = Self::$layer($keys::default());
                        let resolved = layer.resolve(&Defaults::default());
                        Some(resolved.map(|_| layer))
                    })*
                    $(stringify!($more) => {
                        let layer = Self::$form($more_keys::default());
                        let resolved = layer.resolve(&Defaults::default());
                        Some(resolved.map(|_| layer))
                    })*
                    _ => None,
                }
            }

            /// The layer of a graph with everything said about it that others do not say, too. None
            /// for the samples.
            pub(super) fn of(kind: Kind, row: &Row<'_>) -> Option<Self> {
                match kind {
                    $(Kind::$layer(layer) => {
                        let mut keys = layer.write();
                        let [name, from] = keys.place_mut();
                        *name = Some(row.name.to_owned().into());
                        *from = row.from.map(|from| from.to_owned().into());
                        keys.say(row);
                        Some(Self::$layer(keys))
                    })*
                    _ => None,
                }
            }

            /// What can be said of every layer.
            pub(super) fn keys(&self) -> &dyn Keys {
                match self {
                    $(Self::$layer(keys) => keys,)*
                    $(Self::$form(keys) => keys,)*
                }
            }

            /// See [`Words::rounded`].
            pub(super) fn rounded(&self) -> Vec<(&'static str, f64, f64)> {
                match self {
                    $(Self::$layer(keys) => $layer::rounded(keys),)*
                    $(Self::$form(keys) => $form::rounded(keys),)*
                }
            }

            /// The layer under these defaults, or what is missing and what to write.
            pub(super) fn resolve(&self, _defaults: &Defaults) -> Result<Written, [String; 2]> {
                match self {
                    $(Self::$layer(keys) => {
                        $(
                            let of_kind: Option<&$defaults> = _defaults.$word.as_ref();
                            let keys = &of_kind.map_or_else(|| keys.clone(), |of| keys.over(of));
                        )?
                        $layer::refuse(keys).map_or(Ok(()), Err)?;
                        let layer = $layer::read(keys);
                        let layer = layer.ok_or_else(|| missing::<$layer>(stringify!($word)))?;
                        Ok(Written::new(Kind::from(layer), keys))
                    })*
                    $(Self::$form(keys) => {
                        let of_kind: Option<&$more_defaults> = _defaults.$more.as_ref();
                        let keys = &of_kind.map_or_else(|| keys.clone(), |of| keys.over(of));
                        $form::refuse(keys).map_or(Ok(()), Err)?;
                        let layer = $form::read(keys);
                        let layer = layer.ok_or_else(|| missing::<$form>(stringify!($more)))?;
                        Ok(Written::new(layer, keys))
                    })*
                }
            }
        }
    };
}

layers! {
    /// Fully connected.
    dense: Dense(DenseKeys, DenseDefaults),
    /// `max(x, 0)`.
    relu: Relu(PlainKeys),
    /// Any shape to a vector.
    flatten: Flatten(PlainKeys),
    /// A convolution over pictures.
    conv2d: Conv2d(Conv2dKeys, Conv2dDefaults),
    /// The largest number of every window.
    max_pool2d: MaxPool2d(PoolKeys),
    /// The mean of every window.
    avg_pool2d: AvgPool2d(PoolKeys),
    /// The mean of every channel.
    global_avg_pool: GlobalAvgPool(PlainKeys),
    /// The sum of two outputs.
    add: Add(JoinKeys),
    /// The channels of two outputs side by side.
    concat: Concat(JoinKeys),
    /// Some of the channels.
    split: Split(SplitKeys),
    /// `min(max(x, 0), 6)`.
    relu6: Relu6(PlainKeys),
    /// Numbers cut at two borders.
    hardtanh: Hardtanh(HardtanhKeys),
    /// `max(x, 0)` and a part of what is negative.
    leaky_relu: LeakyRelu(LeakyReluKeys),
    /// `1 / (1 + exp(-x))`.
    sigmoid: Sigmoid(PlainKeys),
    /// The hyperbolic tangent.
    tanh: Tanh(PlainKeys),
    /// `relu6(x + 3) / 6`.
    hardsigmoid: Hardsigmoid(PlainKeys),
    /// Numbers left out at random, in training only.
    dropout: Dropout(DropoutKeys),
    /// Mean zero and variance one in every channel, then times a weight, plus a bias.
    batch_norm: BatchNorm(BatchNormKeys),
    /// Cells that go through a sequence and remember.
    lstm: Lstm(LstmKeys),
    else
    /// A convolution in which every channel has weights of its own: a `conv2d` with a group for each.
    depthwise_conv2d: DepthwiseConv2d(DepthwiseConv2dKeys, DepthwiseConv2dDefaults),
    /// A convolution over lines of numbers: a `conv2d` with a kernel of one row.
    conv1d: Conv1d(Conv1dKeys, Conv1dDefaults),
}

fn missing<L: Words>(word: &str) -> [String; 2] {
    // An l is spoken with a vowel before it.
    let vowel = word.starts_with(['a', 'e', 'i', 'o', 'u']) || word == "lstm";
    let article = if vowel { "an" } else { "a" };
    [
        format!("{article} {word} layer needs {}", L::NEEDS),
        format!("write `{word}: {}`", L::EXAMPLE),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_layer_has_its_word_of_the_graph_and_two_have_others_besides() {
        let mut of_graphs = Kind::WORDS[1..].to_vec();
        of_graphs.extend(["depthwise_conv2d", "conv1d"]);
        let mut written = LayerMapping::WORDS.to_vec();
        of_graphs.sort_unstable();
        written.sort_unstable();
        assert_eq!(written, of_graphs);
    }

    #[test]
    fn what_layers_need_is_in_their_examples() {
        for word in LayerMapping::WORDS {
            let Some(Err([_, help])) = LayerMapping::alone(word) else { continue };
            let example = help.trim_start_matches("write `").trim_end_matches('`');
            let layer: LayerMapping = serde_saphyr::from_str(example).unwrap();
            assert!(layer.resolve(&Defaults::default()).is_ok(), "{example}");
        }
    }
}
