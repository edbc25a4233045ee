//! The `fixed:` section as it is written.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{MapAccess, Visitor},
};

use super::{
    at::At,
    point::{GradEntry, PointEntry},
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

/// Settings by kind of layer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ByKind {
    /// The samples.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<At<LayerKeys>>,
    /// Fully connected layers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dense: Option<At<LayerKeys>>,
    /// `max(x, 0)`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relu: Option<At<LayerKeys>>,
    /// Any shape to a vector.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flatten: Option<At<LayerKeys>>,
    /// Convolutions over pictures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conv2d: Option<At<LayerKeys>>,
    /// The largest number of every window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_pool2d: Option<At<LayerKeys>>,
    /// The mean of every window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub avg_pool2d: Option<At<LayerKeys>>,
    /// The mean of every channel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub global_avg_pool: Option<At<LayerKeys>>,
}

impl ByKind {
    /// The settings of every kind, by its word.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&'static str, &At<LayerKeys>)> {
        let Self { data, dense, relu, flatten, conv2d, max_pool2d, avg_pool2d, global_avg_pool } =
            self;
        [
            ("data", data),
            ("dense", dense),
            ("relu", relu),
            ("flatten", flatten),
            ("conv2d", conv2d),
            ("max_pool2d", max_pool2d),
            ("avg_pool2d", avg_pool2d),
            ("global_avg_pool", global_avg_pool),
        ]
        .into_iter()
        .filter_map(|(kind, keys)| Some((kind, keys.as_ref()?)))
    }
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
