//! The `model:` section as it is written.

use fixgrad::{
    config::Init,
    graph::{Conv2d, DepthwiseConv2d, Kind, Misfit},
    tensor::Shape,
};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize, Serializer};

use super::{
    at::At,
    layers::{Conv1d, Defaults, Keys, LayerMapping},
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

/// A layer as it is written.
pub(super) struct Written {
    form: Form,
    inits: [Init; 2],
}

/// A layer of a graph, or one that depends on what it reads.
pub(super) enum Form {
    Kind(Kind),
    Depthwise(DepthwiseConv2d),
    Lines(Conv2d),
}

impl From<Kind> for Form {
    fn from(kind: Kind) -> Self {
        Self::Kind(kind)
    }
}

impl From<DepthwiseConv2d> for Form {
    fn from(conv: DepthwiseConv2d) -> Self {
        Self::Depthwise(conv)
    }
}

impl From<Conv1d> for Form {
    fn from(Conv1d(conv): Conv1d) -> Self {
        Self::Lines(conv)
    }
}

impl Written {
    /// A layer and what is said about it.
    pub(super) fn new(layer: impl Into<Form>, keys: &dyn Keys) -> Self {
        let [init, bias_init] = keys.inits();
        let inits = [init.unwrap_or(Init::HeUniform), bias_init.unwrap_or(Init::Zero)];
        Self { form: layer.into(), inits }
    }

    /// The layer that reads an input of this shape.
    pub(super) fn on(self, from: Shape) -> Result<Resolved, Misfit> {
        let kind = match self.form {
            Form::Kind(kind) => kind,
            Form::Depthwise(conv) => conv.on(from)?.into(),
            Form::Lines(conv) => conv.over_lines(from)?.into(),
        };
        let [init, bias_init] = self.inits;
        Ok(Resolved { kind, init, bias_init })
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
