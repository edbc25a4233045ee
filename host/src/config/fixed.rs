//! The `fixed:` section as it is written.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{MapAccess, Visitor},
};

use super::{
    at::At,
    layers::ByKind,
    point::{GradEntry, PointEntry},
    update::UpdateRule,
};

/// How numbers are quantised: `default` < `by_kind` < `by_name`, key by key.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Fixed {
    /// For every layer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<LayerKeys>,
    /// For every layer of a kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by_kind: Option<ByKind>,
    /// For the layers whose names fit a pattern: `*` stands for any text, `?` for one character.
    /// Of several patterns that fit, the later one wins.
    #[serde(default, skip_serializing_if = "ByName::is_empty")]
    pub by_name: ByName,
}

/// The settings of a layer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LayerKeys {
    /// The weights as the multiplication sees them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<At<PointEntry>>,
    /// The bias. What is not set here is as for the weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bias: Option<At<PointEntry>>,
    /// The layer's output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activation: Option<At<PointEntry>>,
    /// The gradient of the weights, summed over the batch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight_grad: Option<At<GradEntry>>,
    /// The gradient of the bias. What is not set here is as for the weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bias_grad: Option<At<GradEntry>>,
    /// The gradient of the layer's output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activation_grad: Option<At<GradEntry>>,
    /// The stored weights that updates move.
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "one_line")]
    pub master: Option<At<MasterKeys>>,
    /// The stored bias. What is not set here is as for the weights.
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "one_line")]
    pub bias_master: Option<At<MasterKeys>>,
    /// Which parameters move in training: `all`, `bias`, `nothing`, or some output channels, such as
    /// `channels=0..16`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub update: Option<At<UpdateRule>>,
    /// True when a chip reads weights of which none moves, and likewise biases, where they are stored,
    /// such as in flash: they take no RAM. `fixgrad store` makes the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stored: Option<At<bool>>,
}

fn one_line<T: Serialize, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serde_saphyr::FlowMap(value).serialize(serializer)
}

/// How a parameter is stored between steps.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MasterKeys {
    /// Storage: 8, 16 or 32 bits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bits: Option<At<i64>>,
    /// Exponent of the bound: values lie in `-2^bound .. 2^bound`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = -64, max = 64))]
    pub bound: Option<At<i64>>,
}

/// Settings by pattern, in the order of the file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ByName(pub Vec<(At<String>, LayerKeys)>);

impl ByName {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for ByName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(pattern, keys)| (pattern, keys)))
    }
}

impl<'de> Deserialize<'de> for ByName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = ByName;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a mapping from name patterns to settings")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ByName, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(ByName(entries))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

impl JsonSchema for ByName {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ByName".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let keys = generator.subschema_for::<LayerKeys>();
        json_schema!({ "type": "object", "additionalProperties": keys })
    }
}
