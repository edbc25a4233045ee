//! The `model:` section as it is written.

use fixgrad::{config::Init, graph::Kind};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize, Serializer};

use super::{
    at::At,
    layers::{Defaults, Keys, LayerMapping},
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

/// A layer: a mapping, or the word for its kind where nothing needs to be said.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LayerEntry(pub LayerMapping);

/// What a layer is, with nothing left open.
pub(super) struct Resolved {
    pub(super) kind: Kind,
    pub(super) init: Init,
    pub(super) bias_init: Init,
}

impl Resolved {
    /// A layer and what is said about it.
    pub(super) fn new(layer: impl Into<Kind>, keys: &dyn Keys) -> Self {
        let [init, bias_init] = keys.inits();
        Self {
            kind: layer.into(),
            init: init.unwrap_or(Init::HeUniform),
            bias_init: bias_init.unwrap_or(Init::Zero),
        }
    }
}

impl Short for LayerEntry {
    type Long = LayerMapping;
    const EXPECTED: &'static str =
        "a layer: a word such as `relu`, or its settings, such as `dense: { units: 10 }`";

    fn word(word: &str) -> Result<Self, String> {
        match LayerMapping::alone(word) {
            Some(Ok(layer)) => Ok(Self(layer)),
            Some(Err([message, help])) => Err(format!("{message}{HELP}{help}")),
            None => {
                let help = remedy(word, LayerMapping::WORDS);
                Err(format!("`{word}` is not a kind of layer{HELP}{help}"))
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
        let alone = |word: &&&str| LayerMapping::alone(word).is_some_and(|layer| layer.is_ok());
        let words: Vec<_> = LayerMapping::WORDS.iter().filter(alone).collect();
        json_schema!({ "anyOf": [{ "enum": words }, mapping] })
    }
}
