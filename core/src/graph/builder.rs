//! The graph: a fixed-capacity table of layers, built in a `const` or at run time.

use core::fmt;

use serde::{Deserialize, Serialize};

use super::{
    error::GraphError,
    layer::{Layer, Name},
    view::GraphView,
};
use crate::{
    layer::{Add, Concat, Conv2d, Facts, Input, Kind, Misfit},
    tensor::Shape,
};

/// A network of at most `N` layers, the input counted.
///
/// ```
/// use fixgrad::graph::Graph;
///
/// const NET: Graph<4> = Graph::input([1, 8, 8]).dense("fc1", 32).relu().dense("fc2", 10);
/// assert_eq!(NET.view().parameters(), 64 * 32 + 32 + 32 * 10 + 10);
/// ```
///
/// In a `const`, a layer that does not fit is a build error that names the layer and both shapes:
///
/// ```compile_fail
/// # use fixgrad::graph::Graph;
/// const NET: Graph<4> = Graph::input([1, 8, 8]).dense("fc1", 10).expect([12, 1, 1]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Graph<const N: usize> {
    layers: [Layer; N],
    len: u8,
    /// The layer that the next one reads.
    at: u8,
}

impl<const N: usize> Graph<N> {
    const BLANK: Layer = Layer {
        name: Name::numbered("", 0),
        kind: Kind::Input(Input),
        input: 0,
        other: 0,
        shape: Shape([0; 3]),
    };

    /// A graph without layers; the first to be pushed is the input.
    pub const fn empty() -> Self {
        Self { layers: [Self::BLANK; N], len: 0, at: 0 }
    }

    /// A graph whose samples have this shape: channels, height, width.
    pub const fn input(shape: [u16; 3]) -> Self {
        Self::empty().must(Self::empty().with_input(Shape(shape)))
    }

    /// Appends a layer that reads the one before it. Its name is `name`.
    pub const fn push(&mut self, name: &str, kind: Kind) -> Result<(), GraphError> {
        self.push_reading(name, kind, [self.at; 2])
    }

    /// Appends a layer that reads those at two places in the table, twice the same where it is one.
    pub const fn push_reading(
        &mut self,
        name: &str,
        kind: Kind,
        inputs: [u8; 2],
    ) -> Result<(), GraphError> {
        let Some(name) = Name::new(name) else { return Err(GraphError::BadName) };
        match self.with(name, kind, inputs) {
            Ok(graph) => {
                *self = graph;
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Sets the input of an empty graph.
    pub const fn push_input(&mut self, shape: Shape) -> Result<(), GraphError> {
        match self.with_input(shape) {
            Ok(graph) => {
                *self = graph;
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Appends the sum of the output so far and that of the layer named `other`, as at the end of a
    /// residual block. Named `add` and its place.
    ///
    /// ```
    /// use fixgrad::graph::{Conv2d, Graph, Padding};
    ///
    /// const CONV: Conv2d = Conv2d::new(8, 3).padding(Padding::Same);
    /// const NET: Graph<7> = Graph::input([8, 16, 16])
    ///     .conv2d("conv1", CONV)
    ///     .relu()
    ///     .conv2d("conv2", CONV)
    ///     .add("data")
    ///     .relu()
    ///     .expect([8, 16, 16]);
    /// ```
    ///
    /// Shapes that differ are a build error:
    ///
    /// ```compile_fail
    /// # use fixgrad::graph::{Conv2d, Graph};
    /// const NET: Graph<3> =
    ///     Graph::input([8, 16, 16]).conv2d("conv1", Conv2d::new(4, 1)).add("data");
    /// ```
    #[must_use]
    pub const fn add(self, other: &str) -> Self {
        let kind = Kind::Add(Add);
        self.joined(Name::numbered(kind.word(), self.len), kind, other)
    }

    /// Appends the channels of the output so far and behind them those of the layer named `other`.
    /// Named `concat` and its place.
    #[must_use]
    pub const fn concat(self, other: &str) -> Self {
        let kind = Kind::Concat(Concat);
        self.joined(Name::numbered(kind.word(), self.len), kind, other)
    }

    /// Lets the next layer read the layer of this name, which need not be the last one: the beginning
    /// of a second branch.
    ///
    /// ```
    /// use fixgrad::graph::{Conv2d, Graph};
    ///
    /// // A residual block whose shortcut is a convolution.
    /// const NET: Graph<6> = Graph::input([4, 8, 8])
    ///     .conv2d("stem", Conv2d::new(4, 1))
    ///     .conv2d("conv1", Conv2d::new(8, 1).stride(2))
    ///     .from_layer("stem")
    ///     .conv2d("shortcut", Conv2d::new(8, 1).stride(2))
    ///     .add("conv1")
    ///     .expect([8, 4, 4]);
    /// ```
    #[must_use]
    pub const fn from_layer(mut self, name: &str) -> Self {
        match self.view().position(name) {
            Some(at) => self.at = at,
            None => return self.must(Err(no_layer(name))),
        }
        self
    }

    /// Appends a layer of any kind.
    #[must_use]
    pub const fn layer(self, name: &str, kind: Kind) -> Self {
        match Name::new(name) {
            Some(name) => self.must(self.with(name, kind, [self.at; 2])),
            None => self.must(Err(GraphError::BadName)),
        }
    }

    /// States the shape of the output so far; the build stops when it is another.
    #[must_use]
    pub const fn expect(self, shape: [u16; 3]) -> Self {
        self.must(self.expecting(Shape(shape)))
    }

    /// As [`expect`](Self::expect), at run time.
    pub const fn expecting(self, expected: Shape) -> Result<Self, GraphError> {
        let Some(last) = self.view().layers().last() else {
            return Err(GraphError::Empty);
        };
        let [a, b, c] = last.shape.0;
        let [x, y, z] = expected.0;
        if a == x && b == y && c == z {
            return Ok(self);
        }
        Err(GraphError::Mismatch { layer: last.name, shape: last.shape, expected })
    }

    /// All functions take this view, so that code is compiled once for all capacities.
    pub const fn view(&self) -> GraphView<'_> {
        match self.layers.split_at_checked(self.len as usize) {
            Some((layers, _)) => GraphView { layers },
            None => GraphView { layers: &self.layers },
        }
    }

    /// Appends a layer that is named as its kind and its place.
    pub(super) const fn unnamed(self, kind: Kind) -> Self {
        let name = Name::numbered(kind.word(), self.len);
        self.must(self.with(name, kind, [self.at; 2]))
    }

    /// Shape of what the next layer reads.
    pub(super) const fn shape(&self) -> Shape {
        self.layers[self.at as usize].shape
    }

    /// Appends a convolution that was made for what it reads.
    pub(super) const fn fitted(self, name: &str, conv: Result<Conv2d, Misfit>) -> Self {
        let (name_of, shape) = (Name::new(name), self.shape());
        match (conv, name_of) {
            (Ok(conv), _) => self.layer(name, Kind::Conv2d(conv)),
            (Err(misfit), Some(layer)) => {
                self.must(Err(GraphError::Misfit { layer, shape, misfit }))
            }
            (Err(_), None) => self.must(Err(GraphError::BadName)),
        }
    }

    const fn joined(self, name: Name, kind: Kind, other: &str) -> Self {
        match self.view().position(other) {
            Some(other) => self.must(self.with(name, kind, [self.at, other])),
            None => self.must(Err(no_layer(other))),
        }
    }

    const fn must(self, result: Result<Self, GraphError>) -> Self {
        match result {
            Ok(graph) => graph,
            Err(error) => panic!("{}", error.message().as_str()),
        }
    }

    const fn with_input(self, shape: Shape) -> Result<Self, GraphError> {
        let kind = Kind::Input(Input);
        let Some(name) = Name::new(kind.word()) else { return Err(GraphError::BadName) };
        self.checked(Layer { name, kind, input: 0, other: 0, shape })
    }

    const fn with(
        self,
        name: Name,
        kind: Kind,
        [input, other]: [u8; 2],
    ) -> Result<Self, GraphError> {
        if self.len == 0 || matches!(kind, Kind::Input(_)) {
            return Err(GraphError::NotAnInput { layer: name });
        }
        if input >= self.len || other >= self.len {
            return Err(GraphError::BadInput { layer: name });
        }
        let from = self.layers[input as usize].shape;
        match kind.facts(from, self.layers[other as usize].shape) {
            Ok(Facts { shape, .. }) => self.checked(Layer { name, kind, input, other, shape }),
            Err(misfit) => Err(GraphError::Misfit { layer: name, shape: from, misfit }),
        }
    }

    /// The rules that hold for a row whoever made it, a builder or a decoder.
    const fn checked(mut self, layer: Layer) -> Result<Self, GraphError> {
        let place = self.len as usize;
        if place >= N || place >= u8::MAX as usize {
            return Err(GraphError::Full { layer: layer.name, capacity: N });
        }
        if matches!(layer.kind, Kind::Input(_)) != (place == 0) {
            return Err(GraphError::NotAnInput { layer: layer.name });
        }
        let [input, other] = layer.inputs();
        let before = input < place && other < place || place == 0 && input == 0 && other == 0;
        if !before || (input != other) != layer.kind.joins() {
            return Err(GraphError::BadInput { layer: layer.name });
        }
        let elements = layer.shape.elements();
        if elements == 0 || elements > MOST_NUMBERS {
            return Err(GraphError::BadSize { layer: layer.name, shape: layer.shape });
        }
        let mut i = 0;
        while i < place {
            if self.layers[i].name.equals(&layer.name) {
                return Err(GraphError::NameTaken { layer: layer.name });
            }
            i += 1;
        }
        self.layers[place] = layer;
        self.at = self.len;
        self.len += 1;
        Ok(self)
    }
}

/// There is no layer of this name.
const fn no_layer(name: &str) -> GraphError {
    match Name::new(name) {
        Some(layer) => GraphError::NoSuchLayer { layer },
        None => GraphError::BadName,
    }
}

/// Numbers of an output at most, so that those of a batch can be counted in 32 bits.
const MOST_NUMBERS: usize = (1 << 24) - 1;

impl<const N: usize> Serialize for Graph<N> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.view().layers())
    }
}

impl<'de, const N: usize> Deserialize<'de> for Graph<N> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor<const N: usize>;
        impl<'de, const N: usize> serde::de::Visitor<'de> for Visitor<N> {
            type Value = Graph<N>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "at most {N} layers")
            }
            fn visit_seq<A: serde::de::SeqAccess<'de>>(
                self,
                mut seq: A,
            ) -> Result<Graph<N>, A::Error> {
                let mut graph = Graph::empty();
                while let Some(layer) = seq.next_element::<Layer>()? {
                    let [from, other] = layer.inputs().map(|i| graph.layers.get(i));
                    let shapes = from.zip(other).map(|(from, other)| (from.shape, other.shape));
                    let facts = shapes.and_then(|(from, other)| layer.kind.facts(from, other).ok());
                    let expected = facts.map(|facts| facts.shape);
                    if graph.len > 0 && expected != Some(layer.shape) {
                        return Err(serde::de::Error::custom("a layer's shape is not its input's"));
                    }
                    graph = graph.checked(layer).map_err(serde::de::Error::custom)?;
                }
                Ok(graph)
            }
        }
        deserializer.deserialize_seq(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::{Conv2d, Split};
    use crate::layer::{Dense, Relu};

    const NET: Graph<6> = Graph::input([1, 28, 28])
        .flatten()
        .dense("fc1", 84)
        .relu()
        .dense("fc2", 10)
        .expect([10, 1, 1]);

    #[test]
    fn a_const_graph_knows_its_shapes_and_sizes() {
        let view = NET.view();
        assert_eq!(view.layers().len(), 5);
        assert_eq!(view.layers()[1].shape, Shape::vector(784));
        assert_eq!(view.layers()[3].name.as_str(), "relu3");
        assert_eq!(view.parameters(), 784 * 84 + 84 + 84 * 10 + 10);
        assert_eq!(view.training_macs(), 784 * 84 * 2 + 84 * 10 * 3);
    }

    #[test]
    fn the_graph_survives_postcard_and_damaged_rows_are_refused() {
        let mut buffer = [0; 200];
        let bytes = postcard::to_slice(&NET, &mut buffer).unwrap();
        let back: Graph<6> = postcard::from_bytes(bytes).unwrap();
        assert_eq!(back, NET);
        assert_eq!(back.view().hash(), NET.view().hash());
        assert!(postcard::from_bytes::<Graph<4>>(bytes).is_err(), "too many layers");
        for cut in 0..bytes.len() {
            assert!(postcard::from_bytes::<Graph<6>>(&bytes[..cut]).is_err(), "cut at {cut}");
        }
    }

    #[test]
    fn a_graph_as_deep_as_the_table_allows_names_every_layer() {
        let mut graph = Graph::<255>::input([1, 1, 1]);
        for _ in 1..255 {
            graph = graph.relu();
        }
        let name = |i: usize| graph.view().layers()[i].name;
        assert_eq!(
            [9, 99, 110, 254].map(name).map(|name| name.to_string()),
            ["relu9", "relu99", "relu110", "relu254"]
        );
    }

    #[test]
    fn a_graph_without_layers_has_no_shape_to_expect() {
        let error = Graph::<2>::empty().expecting(Shape::vector(1)).unwrap_err();
        assert_eq!(error.to_string(), "the graph has no layers yet: begin with its input");
    }

    #[test]
    fn every_refusal_names_the_layer_and_the_remedy() {
        let mut graph = Graph::<2>::input([1, 2, 2]);
        assert_eq!(graph.push("", Kind::Relu(Relu)), Err(GraphError::BadName));
        assert_eq!(
            graph.push("fc", Kind::Dense(Dense::new(0))).unwrap_err().to_string(),
            "layer fc: an input of [1, 2, 2]: sizes, strides, groups and outputs must be at least 1"
        );
        assert_eq!(
            graph.push("data", Kind::Relu(Relu)).unwrap_err().to_string(),
            "layer data: another layer has this name"
        );
        graph.push("fc", Kind::Dense(Dense::new(3))).unwrap();
        assert_eq!(
            graph.push("r", Kind::Relu(Relu)).unwrap_err().to_string(),
            "layer r: the graph holds 2 layers, the input counted; make it Graph<3> or more"
        );
        assert_eq!(
            graph.expecting(Shape::vector(4)).unwrap_err().to_string(),
            "layer fc: its output is [3] and the next part expects [4]"
        );
        assert!(matches!(graph.push("x", Kind::Input(Input)), Err(GraphError::NotAnInput { .. })));
    }

    #[test]
    fn joins_of_what_does_not_fit_are_refused() {
        let mut graph = Graph::<6>::input([2, 4, 4]).conv2d("conv", Conv2d::new(3, 1)).max_pool(2);
        let mut refused =
            |kind: Kind, inputs| graph.push_reading("join", kind, inputs).unwrap_err().to_string();
        let add = Kind::Add(Add);
        assert_eq!(
            refused(add, [1, 0]),
            "layer join: an input of [3, 4, 4] and one of [2, 4, 4] cannot be added; bring both to one \
             shape, by a convolution of 1 x 1 pixels perhaps"
        );
        assert_eq!(
            refused(Kind::Concat(Concat), [1, 2]),
            "layer join: an input of [3, 4, 4] and one of [3, 2, 2] have not the same pixels; bring \
             both to one height and width, by a pool perhaps"
        );
        assert_eq!(
            refused(Kind::Split(Split::new(2, 2)), [1, 1]),
            "layer join: an input of [3, 4, 4] has no 2 channels from channel 2 on; the first is \
             channel 0"
        );
        let one = "layer join: it must read layers that come before it: two different ones to join \
                   them, and else one";
        for (kind, inputs) in [(add, [1, 1]), (add, [1, 3]), (Kind::Relu(Relu), [0, 1])] {
            assert_eq!(refused(kind, inputs), one);
        }
        assert_eq!(
            no_layer("cnv").to_string(),
            "layer cnv: the next layer is to read it, and no layer above has this name"
        );
    }

    use std::string::ToString;
}
