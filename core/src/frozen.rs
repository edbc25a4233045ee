//! Layers that were trained and only answer: their parameters stay where they lie, such as in
//! flash, and take no RAM. [`Trainer::freeze`](crate::trainer::Trainer::freeze) makes them, and
//! [`Trainer::thaw`](crate::trainer::Trainer::thaw) trains one again.
//!
//! They are of 8 bits, as [`LayerConfig::tiny`](crate::config::LayerConfig::tiny) trains them, and
//! give the bits that the trainer gives in inference.

use core::{fmt, ops::Range};

use serde::{Deserialize, Serialize};

use crate::{
    config::blob::{self, BlobError, Magic},
    graph::{GraphView, Name},
    kernel::Kernel,
    layer::{self, Operator, Relu},
    quant::{Format, Overflow, Quantizer, Round},
    rng::Key,
    tensor::{Mantissas, MantissasMut, Matrix},
};

/// How outputs become codes.
pub(crate) const FORMAT: Format =
    Format { bits: 8, round: Round::RndConv, overflow: Overflow::Sat };

/// A dense layer, with the ReLU that may follow it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrozenDense<'a> {
    pub(crate) inputs: u16,
    pub(crate) units: u16,
    pub(crate) relu: bool,
    /// Of the units of weights, biases and outputs.
    pub(crate) exponents: [i16; 3],
    /// One signed byte each, the inputs of one unit after the other.
    pub(crate) weights: &'a [u8],
    /// Two bytes each, little-endian, so that they may lie at any address. None, or one a unit.
    pub(crate) biases: &'a [u8],
}

/// Why a layer cannot be frozen or thawed, or gives no outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum FrozenError {
    /// The layer has settings that a frozen one has not.
    Settings {
        /// The layer.
        layer: Name,
    },
    /// The layer's parameters are read where they are stored, and cannot be replaced.
    Stored {
        /// The layer.
        layer: Name,
    },
    /// A layer of another kind than dense, ReLU and flatten.
    Kind {
        /// The layer.
        layer: Name,
    },
    /// Training has not found the bound of the layer's output yet.
    Untrained {
        /// The layer.
        layer: Name,
    },
    /// The trainer is within a step.
    Pending,
    /// The trainer has no dense layer of this shape and these units there.
    OtherLayer,
    /// The codes are not a positive number of samples.
    SampleLength {
        /// Codes of one sample.
        sample: usize,
        /// Codes that were given.
        found: usize,
    },
    /// The place for sums or outputs is too small.
    Room {
        /// Numbers that it must hold.
        needed: usize,
        /// Numbers that it holds.
        found: usize,
    },
}

impl fmt::Display for FrozenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Settings { layer } => write!(
                f,
                "layer {layer}: only what is trained by `LayerConfig::tiny` and reads its samples \
                 in place can be frozen"
            ),
            Self::Kind { layer } => write!(
                f,
                "layer {layer}: only dense layers, with ReLUs behind them, can be frozen; a network \
                 with others answers by `Trainer::infer`"
            ),
            Self::Stored { layer } => write!(
                f,
                "layer {layer}: its parameters are read where they are stored; a network that \
                 does not store them can take others"
            ),
            Self::Untrained { layer } => {
                write!(f, "layer {layer}: its output has no bound yet; train a step first")
            }
            Self::Pending => f.write_str("samples of a step are in: call `update` first"),
            Self::OtherLayer => f.write_str(
                "the trainer has no dense layer of this shape at this place, or its weights have \
                 other units",
            ),
            Self::SampleLength { sample, found } => {
                write!(f, "{found} codes; a positive multiple of {sample}, one sample, is needed")
            }
            Self::Room { needed, found } => {
                write!(f, "there is room for {found} numbers; {needed} are needed")
            }
        }
    }
}

impl core::error::Error for FrozenError {}

impl<'a> FrozenDense<'a> {
    /// Codes of one sample.
    pub const fn inputs(&self) -> usize {
        self.inputs as usize
    }

    /// Outputs of one sample.
    pub const fn units(&self) -> usize {
        self.units as usize
    }

    /// The exponent of the unit of its outputs.
    pub const fn exponent(&self) -> i16 {
        self.exponents[2]
    }

    /// Bytes of its parameters.
    pub const fn bytes(&self) -> usize {
        self.weights.len() + self.biases.len()
    }

    /// Numbers that [`infer`](Self::infer) needs room for in `sums`. With more, it works on several
    /// samples at a time.
    pub const fn room(&self) -> usize {
        2 * self.units()
    }

    /// The outputs of some samples, codes in units of `2^exponent`; theirs is
    /// [`exponent`](Self::exponent).
    pub fn infer<'o, K: Kernel>(
        &self,
        kernel: &K,
        codes: &[i8],
        exponent: i16,
        sums: &mut [i32],
        outputs: &'o mut [i8],
    ) -> Result<&'o mut [i8], FrozenError> {
        let (inputs, units) = (self.inputs(), self.units());
        let (sample, found) = (inputs, codes.len());
        if found == 0 || inputs == 0 || !found.is_multiple_of(inputs) {
            return Err(FrozenError::SampleLength { sample, found });
        }
        let (samples, needed) = (found / inputs, found / inputs * units);
        let outputs = room(outputs, 0..needed)?;
        let found = sums.len();
        let (row, tile) = sums
            .split_at_mut_checked(units)
            .filter(|(_, tile)| tile.len() >= units)
            .ok_or(FrozenError::Room { needed: self.room(), found })?;
        let [weight_exponent, bias_exponent, unit] = self.exponents;
        let sum_exponent = i32::from(exponent) + i32::from(weight_exponent);
        let (biases, _) = self.biases.as_chunks();
        let row = row.get_mut(..biases.len()).unwrap_or_default();
        for (&bias, place) in biases.iter().zip(row.iter_mut()) {
            let bias = [i16::from_le_bytes(bias)];
            let left = i32::from(bias_exponent) - sum_exponent;
            layer::align_bias(Mantissas::I16(&bias), left, core::slice::from_mut(place));
        }
        let shift = i32::from(unit) - sum_exponent;
        let quantizer = Quantizer { shift, format: FORMAT, key: Key::new(0), peak: u32::MAX };
        let weights = Mantissas::I8(bytemuck::cast_slice(self.weights));
        let (weights, x) = (
            Matrix::new(weights, units, inputs),
            Matrix::new(Mantissas::I8(codes), samples, inputs),
        );
        let at_once = tile.len() / units.max(1);
        let parts = outputs.chunks_mut((at_once * units).max(1));
        for (first, outputs) in (0..samples).step_by(at_once.max(1)).zip(parts) {
            let sums = tile.get_mut(..outputs.len()).unwrap_or_default();
            let x = x.row_range(first, at_once);
            kernel.gemm(x, weights.t(), 0, false, sums);
            layer::add_bias(row, sums);
            kernel.quantize(&quantizer, (&*sums).into(), 0, MantissasMut::I8(&mut *outputs));
            if self.relu {
                Relu.apply(MantissasMut::I8(outputs), 0);
            }
        }
        Ok(outputs)
    }

    /// Whether a product of bytes with so many terms fits, and nothing else is odd about it.
    fn is_sound(&self) -> bool {
        let (weights, biases) = (self.inputs() * self.units(), self.biases.len());
        self.units > 0
            && self.inputs > 0
            && self.weights.len() == weights
            && (biases == 0 || biases == 2 * self.units())
            && self.exponents.iter().all(|exponent| exponent.unsigned_abs() <= 256)
    }
}

fn room<T>(place: &mut [T], range: Range<usize>) -> Result<&mut [T], FrozenError> {
    let (needed, found) = (range.end, place.len());
    place.get_mut(range).ok_or(FrozenError::Room { needed, found })
}

/// The dense layers of a network, the first one first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frozen<'a, const N: usize> {
    pub(crate) layers: heapless::Vec<FrozenDense<'a>, N>,
}

impl<'a, const N: usize> Frozen<'a, N> {
    /// The layers.
    pub fn layers(&self) -> &[FrozenDense<'a>] {
        &self.layers
    }

    /// Writes them into `buffer`, in the form of all blobs (magic `FXCF`); returns the part of it
    /// that was used. `graph` is the network that they are of.
    pub fn write<'b>(
        &self,
        graph: GraphView<'_>,
        buffer: &'b mut [u8],
    ) -> Result<&'b [u8], BlobError> {
        blob::write(Magic::FROZEN, graph.hash(), &self.layers, buffer)
    }

    /// Reads what [`write`](Self::write) wrote for this network. Parameters stay where they are. The
    /// bytes are not trusted.
    pub fn read(graph: GraphView<'_>, bytes: &'a [u8]) -> Result<Self, BlobError> {
        let (layers, _) = blob::read(Magic::FROZEN, Some(graph.hash()), bytes)?;
        let frozen = Self { layers };
        let chained = frozen.layers.iter().zip(frozen.layers.iter().skip(1));
        let sound = frozen.layers.iter().all(FrozenDense::is_sound)
            && chained.into_iter().all(|(below, above)| below.units == above.inputs);
        if sound { Ok(frozen) } else { Err(BlobError::BadContent) }
    }
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;
    use crate::{graph::Graph, kernel::Scalar};

    const LAYER: FrozenDense<'static> = FrozenDense {
        inputs: 2,
        units: 2,
        relu: true,
        exponents: [-2, -1, 0],
        // Twice the sum of both, and the first minus the second.
        weights: &[8, 8, 4, 252],
        // One and a half, one and none.
        biases: &[3, 0, 2, 0],
    };

    #[test]
    fn a_layer_is_products_bias_rounding_and_relu() {
        let (mut sums, mut outputs) = ([0; 4], [7; 7]);
        let outputs = LAYER.infer(&Scalar, &[3, 1, 1, 3, 0, 0], 0, &mut sums, &mut outputs);
        // 9.5 and 3; 9.5 and -1; 1.5 and 1: ties to even.
        assert_eq!(outputs, Ok(&mut [10, 3, 10, 0, 2, 1][..]));
        // Half the units of the samples, and all at a time.
        let (mut sums, mut outputs) = ([0; 8], [0; 6]);
        let outputs = LAYER.infer(&Scalar, &[6, 2, 2, 6, 0, 0], -1, &mut sums, &mut outputs);
        assert_eq!(outputs, Ok(&mut [10, 3, 10, 0, 2, 1][..]));
    }

    #[test]
    fn codes_and_places_that_do_not_fit_are_refused() {
        let (mut sums, mut outputs) = ([0; 4], [0; 4]);
        for found in [0, 1, 3] {
            let error = LAYER.infer(&Scalar, &[0; 3][..found], 0, &mut sums, &mut outputs);
            assert_eq!(error, Err(FrozenError::SampleLength { sample: 2, found }));
        }
        let error = LAYER.infer(&Scalar, &[0; 6], 0, &mut sums, &mut outputs).unwrap_err();
        assert_eq!(error.to_string(), "there is room for 4 numbers; 6 are needed");
        let error = LAYER.infer(&Scalar, &[0; 2], 0, &mut sums[..3], &mut outputs);
        assert_eq!(error, Err(FrozenError::Room { needed: 4, found: 3 }));
    }

    #[test]
    fn bytes_that_are_no_layers_of_this_network_are_refused() {
        const NET: Graph<4> = Graph::input([2, 1, 1]).dense("fc", 2).relu();
        let frozen = |layers: &[FrozenDense<'static>]| Frozen::<'_, 4> {
            layers: layers.iter().copied().collect(),
        };
        let mut buffer = [0; 128];
        let bytes = frozen(&[LAYER, LAYER]).write(NET.view(), &mut buffer).unwrap().to_vec();
        assert_eq!(Frozen::read(NET.view(), &bytes), Ok(frozen(&[LAYER, LAYER])));
        let refusal = |bytes: &[u8]| Frozen::<4>::read(NET.view(), bytes).err();
        for bit in 0..8 * bytes.len() {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(refusal(&damaged).is_some(), "bit {bit}");
        }
        for odd in [
            FrozenDense { inputs: 3, ..LAYER },
            FrozenDense { units: 0, weights: &[], biases: &[], ..LAYER },
            FrozenDense { weights: &[8, 8, 4], ..LAYER },
            FrozenDense { biases: &[1], ..LAYER },
            FrozenDense { exponents: [0, 257, 0], ..LAYER },
        ] {
            let bytes = frozen(&[odd]).write(NET.view(), &mut buffer).unwrap();
            assert_eq!(refusal(bytes), Some(BlobError::BadContent), "{odd:?}");
        }
        let narrow = FrozenDense { inputs: 1, weights: &[1, 1], ..LAYER };
        let bytes = frozen(&[LAYER, narrow]).write(NET.view(), &mut buffer).unwrap();
        assert_eq!(refusal(bytes), Some(BlobError::BadContent));
    }
}
