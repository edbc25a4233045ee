//! The `train:` section as it is written.

use fixgrad::{config::LossKind, quant::Round};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::{
    at::At,
    point::RoundWord,
    short::{Short, deserialize_short},
    suggest::remedy,
    yaml::HELP,
};

/// Optimiser, batch, loss and seed. Either `epochs` or `steps` says how long.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TrainKeys {
    /// Passes over the training samples.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub epochs: Option<At<i64>>,
    /// Steps, instead of epochs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 4_294_967_295i64))]
    pub steps: Option<At<i64>>,
    /// Samples of one step.
    #[schemars(range(min = 1, max = 65_535))]
    pub batch: At<i64>,
    /// Samples in memory at once; divides `batch`. By default the batch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65_535))]
    pub micro_batch: Option<At<i64>>,
    /// Bits of gradient sums over micro-batches: 16 or 32; 32 by default. With 16, the ranges of weight and
    /// bias gradients are `moving`, `fixed` or `keep`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sums: Option<At<i64>>,
    /// Memory for time: outputs of batch normalisations are not kept for the backward pass but made again.
    /// Changes no bit; false by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recompute: Option<bool>,
    /// Learning rate for the mean of the batch.
    pub lr: At<f64>,
    /// How the learning rate changes; `constant` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<At<ScheduleKeys>>,
    /// Epochs over which the learning rate first rises, step by step, to what the schedule says;
    /// none by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub warmup_epochs: Option<At<i64>>,
    /// The same in steps, instead of epochs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 4_294_967_295i64))]
    pub warmup_steps: Option<At<i64>>,
    /// What becomes of gradients; `sgd` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub optimizer: Option<At<OptimizerKeys>>,
    /// 0 to below 1; 0 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub momentum: Option<At<f64>>,
    /// Nesterov's momentum, which looks one step ahead; false by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nesterov: Option<At<bool>>,
    /// Decoupled: weights shrink by this share times the learning rate. For PyTorch's `SGD` write
    /// its `weight_decay` divided by one minus the momentum; 0 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight_decay: Option<At<f64>>,
    /// What is minimised; `softmax_cross_entropy` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<LossWord>")]
    pub loss: Option<At<LossKind>>,
    /// The share of the target that all classes get alike, for softmax cross-entropy: 0 to below 1;
    /// 0 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label_smoothing: Option<At<f64>>,
    /// How updates are rounded to units of the master weights; `stochastic` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<RoundWord>")]
    pub update_round: Option<At<Round>>,
    /// Names every random number of the run; 0 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Bits of the stored velocity where there is momentum: 8, 16 or 32; by default 8 for Lion, else
    /// 16.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub velocity: Option<At<i64>>,
}

/// An optimiser with settings of its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OptimizerMapping {
    /// Every weight moves by the learning rate (Chen et al. 2023).
    Lion(LionKeys),
}

/// Lion.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LionKeys {
    /// What the velocity weighs in the direction and in the next velocity, each from 0 to below 1;
    /// 0.9 and 0.99 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub betas: Option<At<[f64; 2]>>,
}

/// An optimiser: `sgd`, `lion`, or a mapping.
#[derive(Clone, Debug, PartialEq)]
pub enum OptimizerKeys {
    /// Stochastic gradient descent, of which `momentum` and `nesterov` are settings.
    Sgd,
    /// One that has settings.
    Other(OptimizerMapping),
}

impl Short for OptimizerKeys {
    type Long = OptimizerMapping;
    const EXPECTED: &'static str = "`sgd`, `lion` or `lion: { betas: [0.9, 0.99] }`";

    fn word(word: &str) -> Result<Self, String> {
        match word {
            "sgd" => Ok(Self::Sgd),
            "lion" => Ok(Self::Other(OptimizerMapping::Lion(LionKeys::default()))),
            _ => {
                let remedy = remedy(word, &["sgd", "lion"]);
                Err(format!("`{word}` is not an optimiser{HELP}{remedy}"))
            }
        }
    }
    fn long(long: OptimizerMapping) -> Result<Self, String> {
        Ok(Self::Other(long))
    }
}

deserialize_short!(OptimizerKeys);

impl Serialize for OptimizerKeys {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Sgd => serializer.serialize_str("sgd"),
            Self::Other(mapping) => serde_saphyr::FlowMap(mapping).serialize(serializer),
        }
    }
}

impl JsonSchema for OptimizerKeys {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Optimizer".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mapping = generator.subschema_for::<OptimizerMapping>();
        json_schema!({ "anyOf": [{ "enum": ["sgd", "lion"] }, mapping] })
    }
}

/// How the learning rate changes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ScheduleMapping {
    /// Half a cosine from the learning rate to its floor.
    Cosine(CosineKeys),
    /// A factor now and then.
    Step(StepKeys),
}

/// Half a cosine.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CosineKeys {
    /// What is left at the end, as a share of the learning rate; 0 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub floor: Option<At<f64>>,
    /// Steps to the end; by default all of the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 4_294_967_295i64))]
    pub steps: Option<At<i64>>,
}

/// A factor now and then. Either `every_epochs` or `every_steps` says when.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StepKeys {
    /// Epochs between two changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub every_epochs: Option<At<i64>>,
    /// Steps between two changes, instead of epochs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 4_294_967_295i64))]
    pub every_steps: Option<At<i64>>,
    /// What the learning rate is multiplied with: above 0, below 1.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub factor: At<f64>,
}

/// A schedule: `constant`, `cosine`, or a mapping.
#[derive(Clone, Debug, PartialEq)]
pub enum ScheduleKeys {
    /// No change.
    Constant,
    /// A change that has settings.
    Changing(ScheduleMapping),
}

impl Short for ScheduleKeys {
    type Long = ScheduleMapping;
    const EXPECTED: &'static str =
        "`constant`, `cosine` or `step: { every_epochs: 5, factor: 0.5 }`";

    fn word(word: &str) -> Result<Self, String> {
        match word {
            "constant" => Ok(Self::Constant),
            "cosine" => Ok(Self::Changing(ScheduleMapping::Cosine(CosineKeys::default()))),
            "step" => Err(format!(
                "a step schedule needs settings{HELP}write \
                 `step: {{ every_epochs: 5, factor: 0.5 }}`"
            )),
            _ => {
                let remedy = remedy(word, &["constant", "cosine", "step"]);
                Err(format!("`{word}` is not a schedule{HELP}{remedy}"))
            }
        }
    }
    fn long(long: ScheduleMapping) -> Result<Self, String> {
        Ok(Self::Changing(long))
    }
}

deserialize_short!(ScheduleKeys);

impl Serialize for ScheduleKeys {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Constant => serializer.serialize_str("constant"),
            Self::Changing(mapping) => serde_saphyr::FlowMap(mapping).serialize(serializer),
        }
    }
}

impl JsonSchema for ScheduleKeys {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Schedule".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mapping = generator.subschema_for::<ScheduleMapping>();
        json_schema!({ "anyOf": [{ "enum": ["constant", "cosine"] }, mapping] })
    }
}

/// Names of [`LossKind`], for the schema.
#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
#[expect(dead_code, reason = "only its schema is used")]
enum LossWord {
    SoftmaxCrossEntropy,
    Mse,
    BceWithLogits,
}
