//! The `model:` section as it is written.

use fixgrad::{config::Init, graph::Kind};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize, Serializer};

use super::{
    at::At,
    short::{Short, deserialize_short},
    suggest::remedy,
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
}

const KINDS: [&str; 3] = ["dense", "relu", "flatten"];

/// A layer: a mapping, or the word for its kind where nothing needs to be said.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LayerEntry(pub LayerMapping);

impl LayerEntry {
    pub(super) fn name(&self) -> Option<&At<String>> {
        match &self.0 {
            LayerMapping::Dense(keys) => keys.name.as_ref(),
            LayerMapping::Relu(keys) | LayerMapping::Flatten(keys) => keys.name.as_ref(),
        }
    }

    /// The layer under these defaults; the error says what is missing.
    pub(super) fn resolve(&self, defaults: &Defaults) -> Result<Resolved, String> {
        let dense = match &self.0 {
            LayerMapping::Dense(keys) => keys,
            LayerMapping::Relu(_) => return Ok(Resolved::plain(Kind::Relu)),
            LayerMapping::Flatten(_) => return Ok(Resolved::plain(Kind::Flatten)),
        };
        let base = defaults.dense.clone().unwrap_or_default();
        let units = dense.units.or(base.units).ok_or("a dense layer needs `units`")?;
        let bias = dense.bias.or(base.bias).unwrap_or(true);
        Ok(Resolved {
            kind: Kind::Dense { units, bias },
            init: dense.init.or(base.init).unwrap_or(Init::HeUniform),
            bias_init: dense.bias_init.or(base.bias_init).unwrap_or(Init::Zero),
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
    pub(super) const fn plain(kind: Kind) -> Self {
        Self { kind, init: Init::HeUniform, bias_init: Init::Zero }
    }
}

impl Short for LayerEntry {
    type Long = LayerMapping;
    const EXPECTED: &'static str = "a layer: `relu`, `flatten` or `dense: { units: 10 }`";

    fn word(word: &str) -> Result<Self, String> {
        match word {
            "relu" => Ok(Self(LayerMapping::Relu(PlainKeys::default()))),
            "flatten" => Ok(Self(LayerMapping::Flatten(PlainKeys::default()))),
            "dense" => {
                Err(format!("a dense layer needs `units`{HELP}write `dense: {{ units: 10 }}`"))
            }
            _ => Err(format!("`{word}` is not a kind of layer{HELP}{}", remedy(word, &KINDS))),
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
        json_schema!({ "anyOf": [{ "enum": ["relu", "flatten"] }, mapping] })
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
