//! The network as data: layer table, const builder, memory plan, arena.

mod appends;
#[expect(clippy::panic, reason = "in a `const`, too small an arena is a build error")]
mod arena;
#[expect(clippy::panic, reason = "in a `const`, a layer that does not fit is a build error")]
#[expect(
    clippy::indexing_slicing,
    reason = "a `const` has no `get`; every index is below a length"
)]
mod builder;
mod cursor;
#[expect(
    clippy::indexing_slicing,
    reason = "a `const` has no `get`; every index is below a length"
)]
mod demand;
mod error;
#[expect(
    clippy::indexing_slicing,
    reason = "a `const` has no `get`; every index is below a length"
)]
mod flow;
#[expect(
    clippy::indexing_slicing,
    reason = "a `const` has no `get`; every index is below a length"
)]
mod layer;
mod life;
#[cfg(test)]
mod overlap_tests;
#[expect(
    clippy::indexing_slicing,
    reason = "a `const` has no `get`; every index is below a length"
)]
mod params;
#[expect(clippy::panic, reason = "in a `const`, what cannot be planned is a build error")]
#[expect(
    clippy::indexing_slicing,
    reason = "a `const` has no `get`; every index is below a length"
)]
mod plan;
#[expect(
    clippy::indexing_slicing,
    reason = "a `const` has no `get`; every index is below a length"
)]
mod readers;
mod recurrent;
mod region;
mod sizes;
#[expect(
    clippy::indexing_slicing,
    reason = "a `const` has no `get`; every index is below a length"
)]
mod sums;
#[expect(
    clippy::indexing_slicing,
    reason = "a `const` has no `get`; every index is below a length"
)]
mod transients;
mod view;
#[expect(
    clippy::indexing_slicing,
    reason = "a `const` has no `get`; every index is below a length"
)]
mod way;

pub use life::{Life, Lives};
pub(crate) use transients::attempt;

pub use crate::message::Message;
pub use arena::{Arena, too_small};
pub(crate) use arena::{nothing, pick};
pub use builder::Graph;
pub use error::{GraphError, PlanError};
pub use flow::Flow;
pub use layer::{Layer, Name};
pub(crate) use params::NORM_WORDS;
pub use plan::Plan;
pub(crate) use recurrent::{BOUND_WORDS, Memories, STEP_SUMS, hidden_width};
pub use region::{Bounds, LayerPlan, Left, ParamPlan, Region, Shared, Sum, Way};
pub use sizes::{HookNeeds, Sizes};
pub use view::GraphView;

pub use crate::layer::{
    Add, Average, AvgPool2d, BatchNorm, Concat, Conv2d, Dense, DepthwiseConv2d, Dropout, Facts,
    Flatten, GlobalAvgPool, Hardsigmoid, Hardtanh, Input, Kind, LeakyRelu, Lstm, MaxPool2d, Misfit,
    Output, Padding, Relu, Relu6, Returns, Scale, Sigmoid, Split, Tanh, Terms,
};
