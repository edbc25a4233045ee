//! The settings of one layer: its points and its master weights.

use serde::{Deserialize, Serialize};

use super::{Init, Update};
use crate::{
    layer::Output,
    quant::{Overflow, Point, Quant, Range, Round},
    tensor::Width,
};

/// How the master copy of a parameter is stored. Its exponent does not change: values lie in
/// `-2^bound .. 2^bound`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Master {
    /// Storage.
    pub width: Width,
    /// Exponent of the bound.
    pub bound: i16,
    /// Values before the first step.
    pub init: Init,
}

impl Master {
    /// Exponent of a mantissa's unit.
    pub const fn exponent(self) -> i16 {
        crate::quant::exponent_of(self.bound, self.width.bits())
    }
}

/// The settings of one layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct LayerConfig {
    /// The weight as the multiplication sees it.
    pub weight: Point,
    /// The bias, with a bound of its own.
    pub bias: Point,
    /// The layer's output. Layers that only pass numbers on may have none. An input without is
    /// read in place: the samples are the codes, 8 bits wide.
    pub activation: Option<Point>,
    /// The gradient of the weights, summed over the batch.
    pub weight_grad: Quant,
    /// The gradient of the bias, with a bound of its own.
    pub bias_grad: Quant,
    /// The gradient of the loss by the layer's output. Layers that only pass numbers on may have
    /// none.
    pub activation_grad: Option<Quant>,
    /// True when every output channel's weights have a bound of their own.
    pub per_channel: bool,
    /// The master copy of the weights.
    pub master: Master,
    /// The master copy of the bias.
    pub bias_master: Master,
    /// Which parameters move.
    pub update: Update,
    /// True when weights of which none moves, and likewise biases, are read where they are
    /// [stored](crate::stored), such as in flash, and take no RAM. Layers that normalise channels, and
    /// recurrent ones, keep theirs in RAM.
    pub stored: bool,
}

impl LayerConfig {
    /// `bits` at all four points, gradients rounded stochastically, 16-bit master weights, bounds
    /// from the largest magnitude.
    pub const fn new(bits: u8) -> Self {
        let data = Quant::new(bits);
        let grad = data.round(Round::Stochastic);
        let master = Master { width: Width::I16, bound: 1, init: Init::HeUniform };
        Self {
            weight: Point::new(data.overflow(Overflow::SatSym)),
            bias: Point::new(data),
            activation: Some(Point::new(data)),
            weight_grad: grad,
            bias_grad: grad,
            activation_grad: Some(grad),
            per_channel: false,
            master,
            bias_master: Master { init: Init::Zero, ..master },
            update: Update::All,
            stored: false,
        }
    }

    /// As small as it gets: every range rule needs one look, and the master weights are the
    /// weights that the multiplication sees.
    pub const fn tiny() -> Self {
        let moving = Range::Moving { window: 32, percentile: 10_000 };
        let fixed = Range::Fixed(0);
        let base = Self::new(8);
        let grad = base.weight_grad.range(moving);
        let master = Master { width: Width::I8, bound: 0, init: Init::HeUniform };
        Self {
            weight: Point::new(Quant::new(8).range(fixed)),
            bias: Point::new(Quant::new(16).range(Range::Fixed(1))),
            activation: Some(Point::new(Quant::new(8).range(moving)).straight()),
            weight_grad: grad,
            bias_grad: grad,
            activation_grad: Some(grad),
            per_channel: false,
            master,
            bias_master: Master { width: Width::I16, bound: 1, init: Init::Zero },
            update: Update::All,
            stored: false,
        }
    }

    /// The settings of a layer with such an output: codes that are handed on have no activation point,
    /// and those that stay where they are no points at all.
    #[must_use]
    pub const fn suited(self, output: Output) -> Self {
        match output {
            Output::Sums => self,
            Output::Codes => Self { activation: None, ..self },
            Output::InPlace => self.passing(),
        }
    }

    /// The same layer when it only passes numbers on: no points of its own.
    #[must_use]
    pub const fn passing(self) -> Self {
        Self { activation: None, activation_grad: None, ..self }
    }

    /// True when output channels have bounds of their own, or some of them move and others do not.
    pub(super) const fn tells_channels_apart(&self) -> bool {
        self.per_channel || matches!(self.update, Update::Channels { .. })
    }

    /// True when the multiplication can read the master weights themselves: no bit is dropped and
    /// no rule can change a code.
    pub const fn weight_is_master(&self) -> bool {
        is_master(&self.weight, self.master) && !self.per_channel
    }

    /// As [`weight_is_master`](Self::weight_is_master), for the bias.
    pub const fn bias_is_master(&self) -> bool {
        is_master(&self.bias, self.bias_master)
    }
}

const fn is_master(point: &Point, master: Master) -> bool {
    const fn same(quant: &Quant, master: Master) -> bool {
        let bound_kept = match quant.range {
            Range::Fixed(bound) => bound == master.bound,
            _ => false,
        };
        let codes_kept = matches!(quant.overflow, Overflow::Sat | Overflow::Wrap);
        quant.bits == master.width.bits() && bound_kept && codes_kept
    }
    same(&point.train, master) && same(&point.infer, master)
}
