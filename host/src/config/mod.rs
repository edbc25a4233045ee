//! The configuration compiler: YAML in, integers out.
//!
//! [`Experiment::parse`] reads the text into types that hold what was written and where,
//! [`Experiment::compile`] resolves it for a data set into a graph and its integers, and
//! [`Compiled`] has two forms: the bytes of a `.fxc` file and, with every key written out, YAML.

mod at;
mod compile;
mod diagnostics;
mod file;
mod fixed;
mod format;
mod fxc;
mod hooks;
mod layers;
mod merge;
mod model;
mod network;
mod number;
mod pattern;
mod point;
mod print;
mod problems;
mod range;
mod schema;
pub(crate) mod short;
mod strategies;
pub(crate) mod suggest;
mod train;
mod training;
mod update;
mod windows;
pub(crate) mod yaml;

pub use at::At;
pub(crate) use compile::in_ram;
pub use compile::{Compiled, DatasetFacts, HostPart};
pub use diagnostics::{Diagnostic, Diagnostics};
pub use file::{Experiment, Sections};
pub use fixed::{ByName, Fixed, LayerKeys, MasterKeys};
pub use format::Format;
pub use fxc::{FxcError, LARGEST as LARGEST_FXC};
pub use layers::{
    BatchNormKeys, ByKind, Conv1dDefaults, Conv1dKeys, Conv2dDefaults, Conv2dKeys, Defaults,
    DenseDefaults, DenseKeys, DepthwiseConv2dDefaults, DepthwiseConv2dKeys, DropoutKeys,
    HardtanhKeys, JoinKeys, LayerMapping, LeakyReluKeys, LstmKeys, PlainKeys, PoolKeys, SplitKeys,
};
pub use model::{LayerEntry, Model};
pub use network::MAX_LAYERS;
pub use point::{Bits, Entry, GradEntry, PointEntry, PointKeys, QuantKeys};
pub use range::RangeRule;
pub use schema::{schema, schema_text};
pub use strategies::{
    AmountKeys, AmountMapping, BufferKeys, Ends, NoiseKeys, Patterns, StrategyKeys,
};
pub use train::{CosineKeys, ScheduleKeys, ScheduleMapping, StepKeys, TrainKeys};
pub use training::Length;
pub use update::UpdateRule;
pub use windows::{PaddingEntry, Pair};

#[cfg(test)]
mod error_tests;
#[cfg(test)]
mod round_trip_tests;
#[cfg(test)]
mod tests;
