//! Strategies: eight hooks around the four points, nested like an onion.
//!
//! A hook sees wide integers. Before a point they are the accumulators that are about to be
//! quantised; after it they are the codes, in units 128 times finer than the point's step, so that
//! a hook can leave values between them. The first strategy's `pre_*` runs first and its
//! `post_*` last. Tuples nest: `(a, b)` is `a` around `b`.

mod buffer;
mod configured;
mod noise;
mod onion;

use crate::{optim::Lr, rng::Key};

pub use buffer::{BufferExponents, BufferRule, GradientBuffer};
pub use configured::{Configured, LayerSet, StrategyConfig, StrategyKind};
pub use noise::{Amount, Noise};

/// The four places where numbers are quantised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// The weights and biases that the multiplication sees.
    Weight,
    /// Their gradients.
    WeightGrad,
    /// A layer's output.
    Activation,
    /// Its gradient.
    ActivationGrad,
}

/// What a hook may know besides the numbers.
#[derive(Clone, Copy, Debug)]
pub struct Context {
    /// Steps finished so far.
    pub step: u32,
    /// Learning rate of this step.
    pub lr: Lr,
    /// The layer's place in the graph.
    pub layer: u8,
    /// True when the tensor is a bias or its gradient.
    pub bias: bool,
    /// Random numbers of this strategy, tensor and step: the element's index gives the number.
    pub key: Key,
}

/// A piece of a tensor in the hands of a hook. Values are `values[i] * 2^exponent`.
#[derive(Debug)]
pub struct Tile<'a> {
    /// Mantissas; keep them below 2^30 in magnitude. What lies outside saturates.
    pub values: &'a mut [i32],
    /// Exponent of their unit. A hook may change it together with the values; what follows
    /// takes both. A pre hook changes it by the same amount in every piece of a tensor.
    pub exponent: i16,
    /// The element of the tensor that `values[0]` is.
    pub first: u32,
    /// Exponent of the unit of this point's codes. Before the point, where the rule looks at the
    /// tensor itself, it is that of the previous step.
    pub unit: i16,
}

/// The eight hooks. Each does nothing unless it is written.
///
/// ```
/// use fixgrad::strategy::{Context, Strategy, Tile};
///
/// /// Keeps weight gradients of at least so many steps of their point and drops the rest.
/// struct KeepAbove(i32);
///
/// impl Strategy for KeepAbove {
///     fn post_weight_grad(&mut self, _: &Context, tile: &mut Tile<'_>) {
///         // Values come in finer units than the step.
///         let least = self.0 << (tile.unit - tile.exponent);
///         for v in tile.values.iter_mut().filter(|v| v.abs() < least) {
///             *v = 0;
///         }
///     }
/// }
/// ```
pub trait Strategy {
    /// True when the hooks of this layer and place do something. The default says so for all, so
    /// that a new strategy need not think of it; saying no saves time and memory.
    fn active(&self, layer: u8, place: Place) -> bool {
        let _ = (layer, place);
        true
    }

    /// True when `post_weight` or `post_activation` may leave values between the codes and they
    /// shall stay there. The tensor is then stored in 16 bits with finer units; otherwise it is
    /// rounded back to the grid.
    fn off_grid(&self, layer: u8, place: Place) -> bool {
        let _ = (layer, place);
        false
    }

    /// Before the weights are quantised.
    fn pre_weight(&mut self, context: &Context, tile: &mut Tile<'_>) {
        let _ = (context, tile);
    }
    /// After the weights are quantised.
    fn post_weight(&mut self, context: &Context, tile: &mut Tile<'_>) {
        let _ = (context, tile);
    }
    /// Before the gradient of the weights is quantised.
    fn pre_weight_grad(&mut self, context: &Context, tile: &mut Tile<'_>) {
        let _ = (context, tile);
    }
    /// After the gradient of the weights is quantised.
    fn post_weight_grad(&mut self, context: &Context, tile: &mut Tile<'_>) {
        let _ = (context, tile);
    }
    /// Before a layer's output is quantised.
    fn pre_activation(&mut self, context: &Context, tile: &mut Tile<'_>) {
        let _ = (context, tile);
    }
    /// After a layer's output is quantised.
    fn post_activation(&mut self, context: &Context, tile: &mut Tile<'_>) {
        let _ = (context, tile);
    }
    /// Before the gradient of a layer's output is quantised.
    fn pre_activation_grad(&mut self, context: &Context, tile: &mut Tile<'_>) {
        let _ = (context, tile);
    }
    /// After the gradient of a layer's output is quantised.
    fn post_activation_grad(&mut self, context: &Context, tile: &mut Tile<'_>) {
        let _ = (context, tile);
    }
}
