//! The layers of a graph as all functions see them.

use super::layer::{Layer, Name};
use crate::{
    layer::{Facts, Kind, Output},
    tensor::Shape,
    uses::Part,
};

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
    pub(super) const fn layer(self, index: usize) -> Option<&'a Layer> {
        if index < self.layers.len() { Some(&self.layers[index]) } else { None }
    }

    /// What layer `index` makes of what it reads; `None` where there is no such layer. Where another
    /// layer reads the same, it leaves that as it is and makes a copy.
    pub const fn facts(self, index: usize) -> Option<Facts> {
        match self.own_facts(index) {
            Some(facts) if self.copies(index) => Some(Facts { output: Output::Codes, ..facts }),
            facts => facts,
        }
    }

    /// As [`facts`](Self::facts), whoever else reads the same.
    const fn own_facts(self, index: usize) -> Option<Facts> {
        let Some(layer) = self.layer(index) else { return None };
        let [input, other] = layer.inputs();
        let (Some(from), Some(other)) = (self.layer(input), self.layer(other)) else { return None };
        match layer.kind.facts(from.shape, other.shape) {
            Ok(facts) => Some(facts),
            Err(_) => None,
        }
    }

    /// True when layer `index` would change its input in its place, and another layer reads that too or
    /// needs it.
    pub(super) const fn copies(self, index: usize) -> bool {
        let (Some(layer), Some(facts)) = (self.layer(index), self.own_facts(index)) else {
            return false;
        };
        matches!(facts.output, Output::InPlace)
            && (self.readers(layer.input as usize) > 1 || self.changes_what_is_kept(index))
    }

    /// True when layer `index` would change the output of a layer that keeps it. What a ReLU let pass
    /// can be seen after another one, but not where a border may have become zero.
    const fn changes_what_is_kept(self, mut index: usize) -> bool {
        let Some(Layer { kind, .. }) = self.layer(index) else { return false };
        if matches!(kind, Kind::Flatten(_)) {
            return false;
        }
        while let Some(layer) = self.layer(index) {
            let Some(below) = self.layer(layer.input as usize) else { return false };
            if !matches!(below.kind, Kind::Flatten(_)) {
                let was_relu = matches!(below.kind, Kind::Relu(_));
                return below.kind.keeps_output() || was_relu && kind.keeps_output();
            }
            index = layer.input as usize;
        }
        false
    }

    /// True when layer `index` normalises channels.
    pub(super) const fn is_norm(self, index: usize) -> bool {
        match self.layer(index) {
            Some(layer) => matches!(layer.kind, Kind::BatchNorm(_)),
            None => false,
        }
    }

    /// The place of the layer of this name.
    pub const fn position(self, name: &str) -> Option<u8> {
        let (Some(name), mut i) = (Name::new(name), 0) else { return None };
        while let Some(layer) = self.layer(i) {
            if layer.name.equals(&name) {
                return Some(i as u8);
            }
            i += 1;
        }
        None
    }

    /// Weights and biases of layer `index`; none where there is no such layer.
    pub const fn layer_parameters(self, index: usize) -> (usize, usize) {
        match self.facts(index) {
            Some(facts) => (facts.weights(), facts.biases),
            None => (0, 0),
        }
    }

    /// The kinds of layers of the network, as a set beside the parts of the trainer: see
    /// [`uses`](crate::uses).
    pub const fn kinds(self) -> u64 {
        let (mut kinds, mut i) = (0, 0);
        while let Some(layer) = self.layer(i) {
            kinds |= layer.kind.bit();
            if let (Kind::Conv2d(conv), Some(below)) =
                (layer.kind, self.layer(layer.input as usize))
                && conv.is_depthwise(below.shape)
            {
                kinds |= Part::Depthwise.bit();
            }
            i += 1;
        }
        kinds
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

    /// Identifies the network in files and messages: CRC-32 of names, kinds and shapes.
    pub fn hash(self) -> u32 {
        let crc = crate::config::CRC32;
        let mut digest = crc.digest();
        for layer in self.layers {
            digest.update(layer.name.as_str().as_bytes());
            // The byte form of what the layer is, which has no more than this.
            let mut bytes = [0; 32];
            let kind = postcard::to_slice(&layer.kind, &mut bytes).unwrap_or_default();
            digest.update(&[0, layer.input]);
            digest.update(kind);
            if layer.other != layer.input {
                digest.update(&[layer.other]);
            }
            for number in layer.shape.0 {
                digest.update(&number.to_le_bytes());
            }
        }
        digest.finalize()
    }
}
