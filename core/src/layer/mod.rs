//! One file a layer: its shape, its parameters, and what it computes forward and backward.

mod add;
mod avg_pool;
mod batch_norm;
mod cell;
mod clip;
mod concat;
mod conv2d;
mod dense;
mod depthwise_conv2d;
mod dropout;
#[expect(clippy::indexing_slicing, reason = "a `const` has no `get`; an axis is 0 or 1")]
mod facts;
mod flatten;
mod input;
mod kind;
mod leaky_relu;
mod lstm;
mod max_pool;
mod moments;
mod pool;
mod relu;
mod run;
mod sigmoid;
mod split;
mod statistics;
#[cfg(test)]
mod testing;
mod unit;

pub use add::Add;
pub use avg_pool::{Average, AvgPool2d, GlobalAvgPool};
pub use batch_norm::BatchNorm;
pub use clip::{Hardtanh, Relu6};
pub use concat::Concat;
pub use conv2d::Conv2d;
pub use dense::Dense;
pub use depthwise_conv2d::DepthwiseConv2d;
pub use dropout::Dropout;
pub use facts::{Facts, Misfit, Output, Padding, Scale, Terms};
pub use flatten::Flatten;
pub use input::Input;
pub use kind::Kind;
#[expect(unreachable_pub, reason = "a function of a public trait takes it")]
pub use kind::Tag;
pub use leaky_relu::LeakyRelu;
pub use lstm::{Lstm, Returns};
pub use max_pool::MaxPool2d;
pub use relu::Relu;
pub use sigmoid::{Hardsigmoid, Sigmoid, Tanh};
pub use split::Split;

pub(crate) use cell::{Kept, STATE_EXPONENT, step};
pub(crate) use dense::{Channels, add_bias, align_bias, bias_grad, product};
pub(crate) use kind::operate;
pub(crate) use moments::{BLOCK, ChannelSums, Columns};
pub(crate) use run::{Draws, Forward, InputGrad, Operator, WeightGrad};
pub(crate) use sigmoid::EXPONENT as CURVE_EXPONENT;
pub(crate) use statistics::Statistics;
pub(crate) use unit::{Unit, add_shifted, shift, shifted};
