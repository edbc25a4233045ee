//! The `model:` section as it is written.

use fixgrad::{
    config::Init,
    graph::{AvgPool2d, Conv2d, Dense, Flatten, GlobalAvgPool, Kind, MaxPool2d, Relu},
};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize, Serializer};

use super::{
    at::At,
    short::{Short, deserialize_short},
    suggest::remedy,
    windows::{PaddingEntry, Pair},
    yaml::HELP,
};

/// The network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// Shape of a sample: features; height and width; or channels, height and width. By default
    /// that of the data set.
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "one_line")]
    pub input: Option<At<Vec<u16>>>,
    /// What layers of a kind have unless they say otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub defaults: Option<Defaults>,
    /// The layers, the first one next to the data.
    pub layers: Vec<At<LayerEntry>>,
}

fn one_line<T: Serialize, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serde_saphyr::FlowSeq(value).serialize(serializer)
}

/// What layers have unless they say otherwise.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Defaults {
    /// Fully connected layers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dense: Option<DenseDefaults>,
    /// Convolutions over pictures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conv2d: Option<Conv2dKeys>,
}

/// What fully connected layers have unless they say otherwise.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DenseDefaults {
    /// Numbers in one output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub units: Option<u16>,
    /// Whether a bias is added.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bias: Option<bool>,
    /// Weights before the first step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<InitWord>")]
    pub init: Option<Init>,
    /// Bias before the first step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<InitWord>")]
    pub bias_init: Option<Init>,
}

/// A fully connected layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DenseKeys {
    /// Up to 15 letters, digits, `_`, `-`, `.` and `/`. By default the kind and the place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<At<String>>,
    /// Numbers in one output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub units: Option<u16>,
    /// Whether a bias is added; by default it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bias: Option<bool>,
    /// Weights before the first step; `he_uniform` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<InitWord>")]
    pub init: Option<Init>,
    /// Bias before the first step; `zero` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<InitWord>")]
    pub bias_init: Option<Init>,
}

/// A convolution over pictures.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Conv2dKeys {
    /// Up to 15 letters, digits, `_`, `-`, `.` and `/`. By default the kind and the place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<At<String>>,
    /// Channels of the output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channels: Option<u16>,
    /// Pixels of the kernel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel: Option<Pair>,
    /// Pixels from one window to the next; 1 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stride: Option<Pair>,
    /// Zeros around the picture; `valid`, which is none, by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub padding: Option<PaddingEntry>,
    /// Groups of channels that are convolved apart; 1 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups: Option<u16>,
    /// Whether a bias is added; by default it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bias: Option<bool>,
    /// Weights before the first step; `he_uniform` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<InitWord>")]
    pub init: Option<Init>,
    /// Bias before the first step; `zero` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<InitWord>")]
    pub bias_init: Option<Init>,
}

/// A layer that takes one number from every window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PoolKeys {
    /// Up to 15 letters, digits, `_`, `-`, `.` and `/`. By default the kind and the place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<At<String>>,
    /// Pixels of a window.
    pub kernel: Pair,
    /// Pixels from one window to the next; by default those of the kernel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stride: Option<Pair>,
    /// Room around the picture; `valid`, which is none, by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub padding: Option<PaddingEntry>,
}

/// A layer without parameters.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlainKeys {
    /// Up to 15 letters, digits, `_`, `-`, `.` and `/`. By default the kind and the place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<At<String>>,
}

/// A layer as a mapping from its kind to its settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LayerMapping {
    /// Fully connected.
    Dense(DenseKeys),
    /// `max(x, 0)`.
    Relu(PlainKeys),
    /// Any shape to a vector.
    Flatten(PlainKeys),
    /// A convolution over pictures.
    Conv2d(Conv2dKeys),
    /// The largest number of every window.
    MaxPool2d(PoolKeys),
    /// The mean of every window.
    AvgPool2d(PoolKeys),
    /// The mean of every channel.
    GlobalAvgPool(PlainKeys),
}

/// A layer: a mapping, or the word for its kind where nothing needs to be said.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LayerEntry(pub LayerMapping);

impl LayerEntry {
    pub(super) fn name(&self) -> Option<&At<String>> {
        match &self.0 {
            LayerMapping::Dense(keys) => keys.name.as_ref(),
            LayerMapping::Conv2d(keys) => keys.name.as_ref(),
            LayerMapping::MaxPool2d(keys) | LayerMapping::AvgPool2d(keys) => keys.name.as_ref(),
            LayerMapping::Relu(keys)
            | LayerMapping::Flatten(keys)
            | LayerMapping::GlobalAvgPool(keys) => keys.name.as_ref(),
        }
    }

    /// The layer under these defaults; the error says what is missing.
    pub(super) fn resolve(&self, defaults: &Defaults) -> Result<Resolved, String> {
        Ok(match &self.0 {
            LayerMapping::Dense(keys) => keys.resolve(defaults.dense.as_ref())?,
            LayerMapping::Conv2d(keys) => keys.resolve(defaults.conv2d.as_ref())?,
            LayerMapping::Relu(_) => Resolved::plain(Relu),
            LayerMapping::Flatten(_) => Resolved::plain(Flatten),
            LayerMapping::GlobalAvgPool(_) => Resolved::plain(GlobalAvgPool),
            LayerMapping::MaxPool2d(PoolKeys { kernel, stride, padding, .. }) => {
                let stride = stride.unwrap_or(*kernel).0;
                let padding = padding.unwrap_or_default().0;
                Resolved::plain(MaxPool2d { kernel: kernel.0, stride, padding })
            }
            LayerMapping::AvgPool2d(PoolKeys { kernel, stride, padding, .. }) => {
                let stride = stride.unwrap_or(*kernel).0;
                let padding = padding.unwrap_or_default().0;
                Resolved::plain(AvgPool2d { kernel: kernel.0, stride, padding })
            }
        })
    }
}

impl DenseKeys {
    fn resolve(&self, defaults: Option<&DenseDefaults>) -> Result<Resolved, String> {
        let base = defaults.cloned().unwrap_or_default();
        let units = self.units.or(base.units).ok_or("a dense layer needs `units`")?;
        let bias = self.bias.or(base.bias).unwrap_or(true);
        Ok(Resolved {
            kind: Dense { units, bias }.into(),
            init: self.init.or(base.init).unwrap_or(Init::HeUniform),
            bias_init: self.bias_init.or(base.bias_init).unwrap_or(Init::Zero),
        })
    }
}

impl Conv2dKeys {
    fn resolve(&self, defaults: Option<&Self>) -> Result<Resolved, String> {
        let base = defaults.cloned().unwrap_or_default();
        let channels = self.channels.or(base.channels).ok_or("a conv2d layer needs `channels`")?;
        let kernel = self.kernel.or(base.kernel).ok_or("a conv2d layer needs a `kernel`")?;
        let conv = Conv2d {
            channels,
            kernel: kernel.0,
            stride: self.stride.or(base.stride).unwrap_or(Pair([1; 2])).0,
            padding: self.padding.or(base.padding).unwrap_or_default().0,
            groups: self.groups.or(base.groups).unwrap_or(1),
            bias: self.bias.or(base.bias).unwrap_or(true),
        };
        Ok(Resolved {
            kind: conv.into(),
            init: self.init.or(base.init).unwrap_or(Init::HeUniform),
            bias_init: self.bias_init.or(base.bias_init).unwrap_or(Init::Zero),
        })
    }
}

/// What a layer is, with nothing left open.
pub(super) struct Resolved {
    pub(super) kind: Kind,
    pub(super) init: Init,
    pub(super) bias_init: Init,
}

impl Resolved {
    pub(super) fn plain(kind: impl Into<Kind>) -> Self {
        Self { kind: kind.into(), init: Init::HeUniform, bias_init: Init::Zero }
    }
}

impl Short for LayerEntry {
    type Long = LayerMapping;
    const EXPECTED: &'static str =
        "a layer: a word such as `relu`, or its settings, such as `dense: { units: 10 }`";

    fn word(word: &str) -> Result<Self, String> {
        match word {
            "relu" => Ok(Self(LayerMapping::Relu(PlainKeys::default()))),
            "flatten" => Ok(Self(LayerMapping::Flatten(PlainKeys::default()))),
            "global_avg_pool" => Ok(Self(LayerMapping::GlobalAvgPool(PlainKeys::default()))),
            "dense" => {
                Err(format!("a dense layer needs `units`{HELP}write `dense: {{ units: 10 }}`"))
            }
            "conv2d" => Err(format!(
                "a conv2d layer needs `channels` and a `kernel`{HELP}write `conv2d: {{ channels: \
                 16, kernel: 3 }}`"
            )),
            "max_pool2d" | "avg_pool2d" => {
                Err(format!("a {word} layer needs a `kernel`{HELP}write `{word}: {{ kernel: 2 }}`"))
            }
            _ => {
                let kinds = Kind::WORDS.get(1..).unwrap_or_default();
                Err(format!("`{word}` is not a kind of layer{HELP}{}", remedy(word, kinds)))
            }
        }
    }
    fn long(long: LayerMapping) -> Result<Self, String> {
        Ok(Self(long))
    }
}

deserialize_short!(LayerEntry);

impl JsonSchema for LayerEntry {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Layer".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mapping = generator.subschema_for::<LayerMapping>();
        json_schema!({ "anyOf": [{ "enum": ["relu", "flatten", "global_avg_pool"] }, mapping] })
    }
}

/// Names of [`Init`], for the schema.
#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
#[expect(dead_code, reason = "only its schema is used")]
enum InitWord {
    Zero,
    HeUniform,
    XavierUniform,
    LecunUniform,
}
