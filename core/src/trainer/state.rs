//! What the trainer remembers of a layer between steps.

use postcard_schema::Schema;
use serde::{Deserialize, Serialize};

use super::{Planned, RestoreError, Trainer};
use crate::{
    config::{LayerConfig, Train},
    graph::{Bounds, GraphView, LayerPlan, Plan},
    kernel::Kernel,
    quant::RangeState,
    strategy::{Strategy, StrategyConfig},
    uses::Ranges,
};

/// What is trained, and how.
pub(super) type Purpose<'t> = (GraphView<'t>, &'t Train, &'t [LayerConfig], &'t [StrategyConfig]);

/// A quantised tensor of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, Schema)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[serde(rename_all = "snake_case")]
pub enum Tensor {
    /// Weights as the multiplication sees them.
    Weight,
    /// Biases as the sum sees them.
    Bias,
    /// Gradient of the weights.
    WeightGrad,
    /// Gradient of the biases.
    BiasGrad,
    /// Output.
    Activation,
    /// Gradient of the output.
    ActivationGrad,
    /// Momentum of the weights.
    Velocity,
    /// Momentum of the biases.
    BiasVelocity,
}

impl Tensor {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Weight,
        Self::Bias,
        Self::WeightGrad,
        Self::BiasGrad,
        Self::Activation,
        Self::ActivationGrad,
        Self::Velocity,
        Self::BiasVelocity,
    ];
}

/// The numbers of a layer that decide later steps, besides its parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct LayerMemory {
    ranges: [[i16; 4]; 8],
    velocity_exponents: [i16; 2],
}

impl LayerMemory {
    /// Bytes of a layer in a checkpoint.
    pub(crate) const BYTES: usize = 68;

    /// Four numbers for each of [`Tensor::ALL`], then the exponents of both velocities, all as
    /// little-endian `i16`.
    pub(crate) fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        let numbers = self.ranges.as_flattened().iter().chain(&self.velocity_exponents);
        let (places, _) = bytes.as_chunks_mut();
        for (place, number) in places.iter_mut().zip(numbers) {
            *place = number.to_le_bytes();
        }
        bytes
    }

    /// Reads what [`to_bytes`](Self::to_bytes) gave. Any bytes are numbers;
    /// [`is_plausible`](Self::is_plausible) says whether a trainer takes them.
    pub(crate) fn from_bytes(bytes: &[u8; Self::BYTES]) -> Self {
        let mut memory = Self { ranges: [[0; 4]; 8], velocity_exponents: [0; 2] };
        let ranges = memory.ranges.as_flattened_mut().iter_mut();
        let (numbers, _) = bytes.as_chunks();
        for (place, number) in ranges.chain(&mut memory.velocity_exponents).zip(numbers) {
            *place = i16::from_le_bytes(*number);
        }
        memory
    }

    /// The exponent of a tensor's bound, once there is one.
    #[expect(clippy::indexing_slicing, reason = "as many entries as variants")]
    pub const fn bound(&self, tensor: Tensor) -> Option<i16> {
        match self.ranges[tensor as usize][0] {
            i16::MIN => None,
            bound => Some(bound),
        }
    }

    /// The same with the bound of one tensor from another layer.
    #[must_use]
    #[expect(clippy::indexing_slicing, reason = "as many entries as variants")]
    pub const fn with(mut self, tensor: Tensor, other: &Self) -> Self {
        self.ranges[tensor as usize] = other.ranges[tensor as usize];
        self
    }

    /// The same as if there had been no momentum.
    #[must_use]
    pub fn without_momentum(self) -> Self {
        let [kept @ .., _, _] = self.ranges;
        let new = RangeState::NEW.memory();
        let mut ranges = [new; 8];
        ranges.iter_mut().zip(kept).for_each(|(range, kept)| *range = kept);
        Self { ranges, velocity_exponents: [0; 2] }
    }

    /// False for exponents outside -256..=256, which arithmetic need not take: bytes that enter from
    /// outside may hold any. Training stays inside, as samples, targets and settings do by far; only
    /// a strategy that moves exponents, or many layers with bounds near 2^64, can leave it.
    pub fn is_plausible(&self) -> bool {
        let exponent = |e: i16| e == i16::MIN || e.unsigned_abs() <= 256;
        let range = |&[bound, recent, previous, age]: &[i16; 4]| {
            [bound, recent, previous].into_iter().all(exponent) && (0..=255).contains(&age)
        };
        self.ranges.iter().all(range)
            && self.velocity_exponents.iter().all(|e| e.unsigned_abs() <= 256)
    }
}

/// Bounds, counters and exponents of one layer.
#[derive(Clone, Copy, Debug)]
pub struct LayerState {
    ranges: [RangeState; 8],
    velocity_exponents: [i16; 2],
}

impl LayerState {
    /// Bound and counters of one tensor.
    #[expect(clippy::indexing_slicing, reason = "as many entries as variants")]
    pub const fn range(&self, tensor: Tensor) -> &RangeState {
        &self.ranges[tensor as usize]
    }

    /// A state for a display, of bounds and counters that came over a line, in the order of
    /// [`Tensor::ALL`].
    pub const fn from_ranges(ranges: [RangeState; 8]) -> Self {
        Self { ranges, velocity_exponents: [0; 2] }
    }

    /// For a checkpoint.
    pub fn memory(&self) -> LayerMemory {
        LayerMemory {
            ranges: self.ranges.map(|range| range.memory()),
            velocity_exponents: self.velocity_exponents,
        }
    }
}

/// Exponents of what the arena holds of a layer now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Exponents {
    pub(crate) weight: i16,
    pub(crate) bias: i16,
    /// Biases stay at or below two to this power.
    pub(crate) bias_limit: i16,
    pub(crate) output: i16,
    pub(crate) grad: i16,
    /// Of the gradient sums, weights and biases.
    pub(crate) sums: [i16; 2],
    /// Of the stored velocities.
    pub(crate) velocities: [i16; 2],
    /// True when something was clipped in the last pass, so that masks matter.
    pub(crate) output_clipped: bool,
    pub(crate) params_clipped: [bool; 2],
}

impl Exponents {
    pub(crate) const NEW: Self = Self {
        weight: 0,
        bias: 0,
        bias_limit: 0,
        output: 0,
        grad: 0,
        sums: [0; 2],
        velocities: [0; 2],
        output_clipped: false,
        params_clipped: [false; 2],
    };
}

impl Bounds {
    /// Where the bound of a tensor is among those of all layers, if the layer has one.
    pub(crate) fn place(self, tensor: Tensor) -> Option<usize> {
        let place = (tensor as u8).wrapping_sub(self.from);
        (place < self.len).then(|| usize::from(self.first) + usize::from(place))
    }
}

/// What the trainer remembers of all layers, for those who give it something else to remember.
pub(crate) struct States<'s> {
    layers: &'s [LayerPlan],
    exponents: &'s mut [Exponents],
    ranges: &'s mut [RangeState],
}

impl<'s> States<'s> {
    pub(super) const fn new(
        layers: &'s [LayerPlan],
        exponents: &'s mut [Exponents],
        ranges: &'s mut [RangeState],
    ) -> Self {
        Self { layers, exponents, ranges }
    }

    pub(crate) const fn len(&self) -> usize {
        self.layers.len()
    }

    /// Takes back what [`LayerState::memory`] gave, as far as the layer has such tensors.
    pub(crate) fn restore(&mut self, layer: usize, memory: &LayerMemory) {
        let (Some(plan), Some(exponents)) = (self.layers.get(layer), self.exponents.get_mut(layer))
        else {
            return;
        };
        *exponents = Exponents { velocities: memory.velocity_exponents, ..Exponents::NEW };
        for (tensor, memory) in Tensor::ALL.into_iter().zip(memory.ranges) {
            if let Some(range) = plan.bounds.place(tensor).and_then(|at| self.ranges.get_mut(at)) {
                *range = RangeState::NEW;
                range.restore(memory);
            }
        }
    }
}

impl<const N: usize, K: Kernel, S: Strategy, P: Planned<N>> Trainer<'_, N, K, S, P> {
    /// True between steps. Within one, weights may have moved by a part of it, and sums and what
    /// range rules have seen are nowhere but in memory.
    pub(crate) const fn is_between_steps(&self) -> bool {
        self.pending == 0
    }

    /// What is trained, and how.
    pub(crate) const fn purpose(&self) -> Purpose<'_> {
        (self.graph, self.train, self.layers, self.strategy.1.0)
    }

    /// Bounds and counters, one entry a layer.
    pub fn states(&self) -> impl ExactSizeIterator<Item = LayerState> {
        let layers = self.plan().layers().iter().zip(&self.exponents);
        layers.map(|(plan, exponents)| LayerState {
            ranges: Tensor::ALL.map(|tensor| self.range(plan, tensor)),
            velocity_exponents: exponents.velocities,
        })
    }

    /// Bound and counters of one tensor, new ones where the layer has no such tensor.
    pub(super) fn range(&self, plan: &LayerPlan, tensor: Tensor) -> RangeState {
        let range = plan.bounds.place(tensor).and_then(|at| self.ranges.all().get(at));
        range.copied().unwrap_or(RangeState::NEW)
    }

    /// Takes back what [`persistent`](Self::persistent), [`states`](Self::states) and
    /// [`steps`](Self::steps) gave. What is refused changes nothing.
    pub fn restore(
        &mut self,
        step: u32,
        layers: &[LayerMemory],
        bytes: &[u8],
    ) -> Result<(), RestoreError> {
        let plan: &Plan<N> = self.plan.plan();
        let (expected, found) = (plan.layers().len(), layers.len());
        if expected != found {
            return Err(RestoreError::LayerCount { expected, found });
        }
        let place = self.memory.get_mut(..plan.persistent).unwrap_or_default();
        let (expected, found) = (place.len(), bytes.len());
        if expected != found {
            return Err(RestoreError::Length { expected, found });
        }
        if let Some(layer) = layers.iter().position(|memory| !memory.is_plausible()) {
            return Err(RestoreError::Bounds { layer });
        }
        place.copy_from_slice(bytes);
        let (mut states, _) = self.refillable();
        for (layer, memory) in layers.iter().enumerate() {
            states.restore(layer, memory);
        }
        self.step = step;
        self.forget_the_step();
        Ok(())
    }

    pub(super) fn refillable(&mut self) -> (States<'_>, &mut [u8]) {
        let plan: &Plan<N> = self.plan.plan();
        let bytes = self.memory.get_mut(..plan.persistent).unwrap_or_default();
        let (exponents, ranges) = (self.exponents.as_mut_slice(), self.ranges.all_mut());
        (States::new(plan.layers(), exponents, ranges), bytes)
    }

    /// Lets `fill` overwrite layer states and [`persistent`](Self::persistent) bytes in place. It
    /// returns the steps done. When it fails half-way, the trainer is reset: half of a state is
    /// never left.
    pub(crate) fn refill<E>(
        &mut self,
        fill: impl FnOnce(&mut States<'_>, &mut [u8]) -> Result<u32, E>,
    ) -> Result<(), E> {
        let (mut states, bytes) = self.refillable();
        let filled = fill(&mut states, bytes);
        if let Ok(step) = filled {
            self.step = step;
            self.forget_the_step();
        } else {
            self.reset();
        }
        filled.map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memories_survive_their_bytes() {
        let mut number = 0;
        let mut next = || {
            number += 1000;
            number
        };
        let memory = LayerMemory {
            ranges: [(); 8].map(|()| [(); 4].map(|()| next())),
            velocity_exponents: [-3, 700],
        };
        let bytes = memory.to_bytes();
        assert_eq!(LayerMemory::from_bytes(&bytes), memory);
        assert_eq!(bytes[..4], [0xe8, 3, 0xd0, 7]);
        assert_eq!(bytes[64..], [0xfd, 0xff, 0xbc, 2]);
    }
}
