//! One file a layer: its shape, its parameters, and what it computes forward and backward.

mod add;
mod avg_pool;
mod concat;
mod conv2d;
mod dense;
#[expect(clippy::indexing_slicing, reason = "a `const` has no `get`; an axis is 0 or 1")]
mod facts;
mod flatten;
mod input;
mod kind;
mod max_pool;
mod pool;
mod relu;
mod run;
mod split;
#[cfg(test)]
mod testing;
mod unit;

pub use add::Add;
pub use avg_pool::{Average, AvgPool2d, GlobalAvgPool};
pub use concat::Concat;
pub use conv2d::Conv2d;
pub use dense::Dense;
pub use facts::{Facts, Misfit, Output, Padding, Terms};
pub use flatten::Flatten;
pub use input::Input;
pub use kind::Kind;
#[expect(unreachable_pub, reason = "a function of a public trait takes it")]
pub use kind::Tag;
pub use max_pool::MaxPool2d;
pub use relu::Relu;
pub use split::Split;

pub(crate) use dense::{Channels, add_bias, align_bias, bias_grad};
pub(crate) use kind::operate;
pub(crate) use run::{Forward, InputGrad, Operator, WeightGrad};
pub(crate) use unit::{Unit, add_shifted, shift};
