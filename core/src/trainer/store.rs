//! Writing parameters for a training that reads them where they lie.

use core::fmt;

use super::{
    Planned, Trainer,
    engine::Mode,
    record::Tally,
    state::{LayerMemory, LayerState, Tensor},
    stored::{layout, places},
};
use crate::{
    config::LayerConfig,
    graph::{LayerPlan, Name, Plan, Region},
    kernel::Kernel,
    quant::Range,
    stored::Stored,
    strategy::Strategy,
    uses::Stock,
};

/// Why parameters cannot be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum StoreError {
    /// The trainer is within a step.
    Pending,
    /// Training has not found the bounds of a layer's weights or biases yet.
    Untrained {
        /// The layer.
        layer: Name,
    },
    /// Weights or biases would move that are stored as codes, which are not what moves.
    Codes {
        /// The layer.
        layer: Name,
    },
    /// The plan has a layer of another kind, shape or width there, or none.
    OtherLayer {
        /// The place of the layer.
        layer: usize,
    },
    /// The buffer is too small.
    BufferTooSmall {
        /// Bytes that it must hold.
        needed: usize,
        /// Bytes that it holds.
        found: usize,
    },
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pending => f.write_str("samples of a step are in: call `update` first"),
            Self::Untrained { layer } => write!(
                f,
                "layer {layer}: its weights or biases have no bounds yet; train a step first"
            ),
            Self::Codes { layer } => write!(
                f,
                "layer {layer}: what should move was stored as codes, without the bits that \
                 only masters have; store it from the training that it comes from"
            ),
            Self::OtherLayer { layer } => write!(
                f,
                "layer {layer} of the plan has parameters of another number or width than the \
                 trainer: both must be of one network with the same bits"
            ),
            Self::BufferTooSmall { needed, found } => {
                write!(f, "the buffer has {found} bytes; {needed} are needed")
            }
        }
    }
}

impl core::error::Error for StoreError {}

impl<const N: usize, K: Kernel, S: Strategy, P: Planned<N>> Trainer<'_, N, K, S, P> {
    /// Whether the bound of weights or biases is one that training has not found yet.
    fn is_guessed(&self, layer: usize, which: usize) -> bool {
        let (Some(config), Some(plan)) = (self.layers.get(layer), self.plan().layers().get(layer))
        else {
            return true;
        };
        let (point, tensor) = match which {
            1 => (&config.bias, Tensor::Bias),
            _ => (&config.weight, Tensor::Weight),
        };
        point.train.range == Range::Keep && self.range(plan, tensor).bound().is_none()
    }

    /// What the trainer remembers of a layer, but momentum: bounds that its plan has no place for are those
    /// that it began with.
    fn memory_of(&self, layer: usize, state: &LayerState) -> LayerMemory {
        let memory = state.memory().without_momentum();
        let begun = self.plan.stored().stored().and_then(|stored| stored.memory(layer));
        let (Some(begun), Some(plan)) = (begun, self.plan().layers().get(layer)) else {
            return memory;
        };
        let forgotten =
            Tensor::ALL.into_iter().filter(|&tensor| plan.bounds.place(tensor).is_none());
        forgotten.fold(memory, |memory, tensor| memory.with(tensor, &begun))
    }

    /// Quantises all parameters as a training step would, without a trace: by settings whose inference
    /// is training.
    fn prepare_for_good(&mut self) {
        let layers: [LayerConfig; N] = core::array::from_fn(|i| {
            let mut layer = self.layers.get(i).copied().unwrap_or(LayerConfig::tiny());
            layer.weight.infer = layer.weight.train;
            layer.bias.infer = layer.bias.train;
            layer
        });
        let mut tally = Tally::default();
        let mut engine = self.engine(Mode::Infer, &mut tally);
        engine.layers = &layers;
        engine.prepare();
        self.prepared = None;
    }

    /// Writes the parameters as they are now for a training with the settings `layers`, whose plan is
    /// `plan`: as the codes of a training step where they do not move there, and else as they are. Returns
    /// the part of `buffer` that was used, which [`Stored::read`] reads.
    ///
    /// The network and the bits are those of the trainer. Momentum is left behind.
    pub fn store<'b>(
        &mut self,
        plan: &Plan<N>,
        layers: &[LayerConfig],
        buffer: &'b mut [u8],
    ) -> Result<&'b [u8], StoreError> {
        if !self.is_between_steps() {
            return Err(StoreError::Pending);
        }
        self.prepare_for_good();
        let to = plan.layers();
        let count = self.plan().layers().len();
        if to.len() != count || layers.len() != count {
            return Err(StoreError::OtherLayer { layer: to.len().min(count) });
        }
        let parameters =
            to.iter().flat_map(LayerPlan::stored_regions).map(Region::stored_footprint).sum();
        let (needed, found) = (Stored::bytes(count, parameters), buffer.len());
        let hashes = [self.graph.hash(), layout(to, layers)];
        let written = Stored::write(hashes, [count, parameters], buffer, |rows, bytes| {
            for (layer, (row, state)) in rows.iter_mut().zip(self.states()).enumerate() {
                let [w0, w1, b0, b1, memory @ ..] = row;
                if let Some(now) = self.exponents.get(layer) {
                    [*w0, *w1] = now.weight.to_le_bytes();
                    [*b0, *b1] = now.bias.to_le_bytes();
                }
                *memory = self.memory_of(layer, &state).to_bytes();
            }
            for (layer, which, region, from) in places(to) {
                let other = StoreError::OtherLayer { layer };
                let own = self.plan().layers().get(layer).ok_or(other)?;
                let codes = [own.weight.codes, own.bias.codes, own.channels_now];
                let sources = if region.is_stored() { codes } else { own.stored_regions() };
                let name = self.graph.layers().get(layer).ok_or(other)?.name;
                let source = *sources.get(which).ok_or(other)?;
                if region.is_stored() && !source.is_stored() && self.is_guessed(layer, which) {
                    return Err(StoreError::Untrained { layer: name });
                }
                if source.is_stored() && !region.is_stored() && !self.stores_masters(layer, which) {
                    return Err(StoreError::Codes { layer: name });
                }
                if source.len != region.len || source.bytes() != region.bytes() {
                    return Err(other);
                }
                let own = self.bytes_of(source);
                let place = bytes.get_mut(from..from + region.bytes()).ok_or(other)?;
                place.copy_from_slice(own.filter(|own| own.len() == place.len()).ok_or(other)?);
            }
            Ok(())
        });
        written.unwrap_or(Err(StoreError::BufferTooSmall { needed, found }))
    }

    /// Whether the codes of a parameter are its masters.
    fn stores_masters(&self, layer: usize, which: usize) -> bool {
        self.layers.get(layer).is_some_and(|config| match which {
            0 => config.weight_is_master(),
            1 => config.bias_is_master(),
            _ => false,
        })
    }
}
