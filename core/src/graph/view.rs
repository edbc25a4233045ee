//! The layers of a graph as all functions see them.

use super::layer::{Kind, Layer};
use crate::tensor::Shape;

/// The layers of a graph, whatever its capacity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GraphView<'a> {
    pub(super) layers: &'a [Layer],
}

impl<'a> GraphView<'a> {
    /// The rows of the table, the input first.
    pub const fn layers(self) -> &'a [Layer] {
        self.layers
    }

    /// Shape of what layer `index` reads.
    pub fn input_shape(self, index: usize) -> Shape {
        let input = self.layers.get(index).map_or(0, |layer| usize::from(layer.input));
        self.layers.get(input).map_or(Shape([0; 3]), |layer| layer.shape)
    }

    /// `layers().get(index)`, also in a `const`.
    #[expect(clippy::indexing_slicing, reason = "the index is compared with the length")]
    const fn layer(self, index: usize) -> Option<&'a Layer> {
        if index < self.layers.len() { Some(&self.layers[index]) } else { None }
    }

    /// Weights and biases of layer `index`; none where there is no such layer.
    pub const fn layer_parameters(self, index: usize) -> (usize, usize) {
        let Some(&Layer { kind: Kind::Dense { units, bias }, input, .. }) = self.layer(index)
        else {
            return (0, 0);
        };
        let Some(from) = self.layer(input as usize) else { return (0, 0) };
        let weights = from.shape.elements().saturating_mul(units as usize);
        (weights, if bias { units as usize } else { 0 })
    }

    /// Weights and biases of the whole network.
    pub const fn parameters(self) -> usize {
        let (mut sum, mut i) = (0, 0);
        while i < self.layers.len() {
            let (weights, biases) = self.layer_parameters(i);
            sum = weights.saturating_add(biases).saturating_add(sum);
            i += 1;
        }
        sum
    }

    /// Multiply-adds of one training sample: forward and weight gradient everywhere, input
    /// gradient except for the first layer with weights.
    pub const fn training_macs(self) -> usize {
        let (mut sum, mut i, mut first) = (0, 0, true);
        while i < self.layers.len() {
            let (weights, _) = self.layer_parameters(i);
            sum = weights.saturating_mul(if first { 2 } else { 3 }).saturating_add(sum);
            first = first && weights == 0;
            i += 1;
        }
        sum
    }

    /// Identifies the network in files and messages: CRC-32 of names, kinds and shapes.
    pub fn hash(self) -> u32 {
        let crc = crate::config::CRC32;
        let mut digest = crc.digest();
        for layer in self.layers {
            digest.update(layer.name.as_str().as_bytes());
            let (tag, a, b) = match layer.kind {
                Kind::Input => (0, 0, 0),
                Kind::Dense { units, bias } => (1, units, u16::from(bias)),
                Kind::Relu => (2, 0, 0),
                Kind::Flatten => (3, 0, 0),
            };
            digest.update(&[0, tag, layer.input]);
            for number in [a, b].into_iter().chain(layer.shape.0) {
                digest.update(&number.to_le_bytes());
            }
        }
        digest.finalize()
    }
}
