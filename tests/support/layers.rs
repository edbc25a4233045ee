//! Random layers: of what is drawn, what fits goes into the graph.

use std::ops::Range;

use fixgrad::{
    config::{LayerConfig, Update},
    graph::{
        Add, AvgPool2d, BatchNorm, Concat, Conv2d, Dense, Dropout, Facts, Flatten, GlobalAvgPool,
        Graph, GraphView, Hardsigmoid, Hardtanh, Kind, LeakyRelu, Lstm, MaxPool2d, Output, Padding,
        Relu, Relu6, Returns, Sigmoid, Split, Tanh,
    },
};
use proptest::{collection::vec, prelude::*, sample::Index};

/// Layers that a random graph holds at most.
pub const LAYERS: usize = 8;

/// The shape of the samples, and kinds of layers for them: vectors as often as pictures.
pub fn shape_and_kinds() -> impl Strategy<Value = ([u16; 3], Vec<Kind>)> {
    let vectors = ((1..100u16).prop_map(|features| [features, 1, 1]), vec(of_vectors(), LAYERS));
    // What is rare among single layers: a ReLU below its pool, as networks of pictures have it, and
    // windows over a picture that was made flat.
    let pair = prop_oneof![
        2 => max_pool().prop_map(|pool| vec![Relu.into(), pool]),
        1 => conv2d().prop_map(|conv| vec![Flatten.into(), conv]),
    ];
    let some = prop_oneof![1 => pair, 8 => of_pictures().prop_map(|kind| vec![kind])];
    let kinds = vec(some, LAYERS).prop_map(|some| some.concat());
    let pictures = ((1..=4u16, 1..=9u16, 1..=9u16).prop_map(<[u16; 3]>::from), kinds);
    prop_oneof![vectors, pictures]
}

fn of_vectors() -> impl Strategy<Value = Kind> {
    prop_oneof![
        4 => (1..50u16, any::<bool>()).prop_map(|(units, bias)| Dense { units, bias }.into()),
        2 => Just(Relu.into()),
        1 => Just(Flatten.into()),
        4 => elementwise(),
        2 => batch_norm(),
    ]
}

fn batch_norm() -> impl Strategy<Value = Kind> {
    let eps = prop_oneof![Just(17u8), 1..=24u8];
    (0..=15u8, eps, 0..4u8)
        .prop_map(|(momentum, eps, frozen)| BatchNorm { momentum, eps, frozen: frozen == 0 }.into())
}

fn lstm() -> impl Strategy<Value = Kind> {
    let returns = prop_oneof![Just(Returns::Last), Just(Returns::Sequence)];
    (1..8u16, returns, 0..6u16)
        .prop_map(|(units, returns, truncate)| Lstm { units, returns, truncate }.into())
}

/// Layers that work number by number.
fn elementwise() -> impl Strategy<Value = Kind> {
    let borders = prop_oneof![Just((-1, 1)), (-9..=0i8, 1..=9i8), Just((i8::MIN, 0))];
    let probabilities = prop_oneof![Just(1u16 << 14), 0..32_000u16];
    prop_oneof![
        Just(Relu6.into()),
        borders.prop_map(|(low, high)| Hardtanh { low, high }.into()),
        (1..=15u8).prop_map(|shift| LeakyRelu { shift }.into()),
        Just(Sigmoid.into()),
        Just(Tanh.into()),
        Just(Hardsigmoid.into()),
        probabilities.prop_map(|p| Dropout { p }.into()),
    ]
}

/// Kernel, stride and padding.
fn window() -> impl Strategy<Value = ([u8; 2], [u8; 2], Padding)> {
    (vec(1..=5u8, 2), vec(1..=3u8, 2), any::<[bool; 2]>(), 0..5u8, vec(0..5u8, 2)).prop_map(
        |(size, stride, [square, apart], padding, pad)| {
            let kernel = [size[0], if square { size[0] } else { size[1] }];
            // Side by side, or every few pixels.
            let stride = if apart { kernel } else { [stride[0], stride[1]] };
            let padding = match padding {
                0 => Padding::Valid,
                1 => Padding::Explicit([pad[0], pad[1]]),
                2 => Padding::Explicit(kernel.map(|size| size / 2)),
                _ => Padding::Same,
            };
            (kernel, stride, padding)
        },
    )
}

fn max_pool() -> impl Strategy<Value = Kind> {
    window().prop_map(|(kernel, stride, padding)| MaxPool2d { kernel, stride, padding }.into())
}

fn conv2d() -> impl Strategy<Value = Kind> {
    (1..4u16, window(), any::<[bool; 2]>()).prop_map(
        |(channels, (kernel, stride, padding), [bias, dense])| {
            // Most convolutions look at every pixel.
            let stride = if dense { [1; 2] } else { stride };
            Conv2d { channels, kernel, stride, padding, groups: 1, bias }.into()
        },
    )
}

fn of_pictures() -> impl Strategy<Value = Kind> {
    let avg =
        window().prop_map(|(kernel, stride, padding)| AvgPool2d { kernel, stride, padding }.into());
    prop_oneof![
        6 => conv2d(),
        4 => max_pool(),
        4 => avg,
        2 => lstm(),
        2 => Just(GlobalAvgPool.into()),
        2 => (0..4u16, 1..4u16).prop_map(|(first, channels)| Split { first, channels }.into()),
        3 => of_vectors(),
    ]
}

/// How a layer is tied to those before it.
#[derive(Clone, Copy, Debug)]
pub enum Link {
    /// It reads the one before it.
    Chain,
    /// So it does, and then its output joins that of an earlier layer.
    Skip(Index),
    /// It reads an earlier one, and then its output joins that of the one before it.
    Fork(Index),
}

/// Any link: most layers follow one another.
pub fn link() -> impl Strategy<Value = Link> {
    prop_oneof![
        3 => Just(Link::Chain),
        1 => any::<Index>().prop_map(Link::Skip),
        1 => any::<Index>().prop_map(Link::Fork),
    ]
}

/// What is drawn for a layer beside its kind.
#[derive(Clone, Debug)]
pub struct Drawn {
    /// Points at the groups of a convolution, among those that divide its input.
    pub groups: Index,
    /// How it is tied to the others.
    pub link: Link,
    /// Its settings.
    pub config: LayerConfig,
    /// Layers that need no points have them where this says so: one for the activation, one for its
    /// gradient.
    pub own: [bool; 2],
}

/// A graph on its way, and what was drawn for its layers.
pub struct Draft {
    graph: Graph<LAYERS>,
    drawn: Vec<(LayerConfig, [bool; 2])>,
}

impl Draft {
    /// Samples of this shape.
    pub fn new(shape: [u16; 3], first: LayerConfig) -> Self {
        Self { graph: Graph::input(shape), drawn: vec![(first, [true; 2])] }
    }

    /// A layer more, if it fits, and one that joins two where the link says so.
    pub fn push(&mut self, kind: Kind, drawn: &Drawn) {
        let before = self.graph;
        let last = (before.view().layers().len() - 1) as u8;
        let pick = |index: Index| index.index(last.into()) as u8;
        let done = match drawn.link {
            Link::Skip(index) if last > 0 => {
                self.layer(kind, drawn, last);
                // The layer may have found no place; what is there can still be joined.
                let last = (self.graph.view().layers().len() - 1) as u8;
                self.join(last, pick(index)) || last > 0
            }
            Link::Fork(index) if last > 0 => {
                self.layer(kind, drawn, pick(index)) && self.join(last + 1, last)
            }
            _ => self.layer(kind, drawn, last),
        };
        if !done {
            // Nobody would read the layer before it.
            self.graph = before;
        }
        let layers = self.graph.view().layers().len();
        self.drawn.truncate(layers);
        self.drawn.resize(layers, (drawn.config, drawn.own));
    }

    fn layer(&mut self, kind: Kind, drawn: &Drawn, input: u8) -> bool {
        let view = self.graph.view();
        let channels = view.layers()[usize::from(input)].shape.0[0];
        let kind = match kind {
            Kind::Conv2d(conv) => {
                let groups: Vec<u16> =
                    (1..=channels).filter(|groups| channels.is_multiple_of(*groups)).collect();
                let groups = *drawn.groups.get(&groups);
                // A few channels of each group, where that stays small.
                let each = if groups > 8 { 1 } else { conv.channels };
                Conv2d { channels: each * groups, groups, ..conv }.into()
            }
            kind => kind,
        };
        // The name says the place, so it is free.
        let name = format!("layer{}", view.layers().len());
        self.graph.push_reading(&name, kind, [input; 2]).is_ok()
    }

    /// The sum of two outputs, or their channels side by side, if one of both fits.
    fn join(&mut self, input: u8, other: u8) -> bool {
        let name = format!("layer{}", self.graph.view().layers().len());
        [Kind::Add(Add), Kind::Concat(Concat)]
            .into_iter()
            .any(|kind| self.graph.push_reading(&name, kind, [input, other]).is_ok())
    }

    /// The graph, and one entry a layer.
    pub fn finish(self) -> (Graph<LAYERS>, Vec<LayerConfig>) {
        let mut layers: Vec<LayerConfig> = Vec::new();
        for (i, &(config, own)) in self.drawn.iter().enumerate() {
            let mut config = config;
            if let Update::Channels { first, count } = config.update {
                let channels = self.graph.view().layers()[i].shape.0[0];
                let first = first % channels;
                config.update = Update::Channels { first, count: 1 + count % (channels - first) };
            }
            if matches!(self.graph.view().layers()[i].kind, Kind::Lstm(_)) {
                // Gates have one bound and move together.
                config.per_channel = false;
                if matches!(config.update, Update::Channels { .. }) {
                    config.update = Update::All;
                }
            }
            layers.push(config);
            if i > 0 {
                layers[i] = self.suited(i, &layers, own);
            }
        }
        (self.graph, layers)
    }

    /// Settings for the last of these layers.
    fn suited(&self, i: usize, layers: &[LayerConfig], own: [bool; 2]) -> LayerConfig {
        let mut config = layers[i];
        let view = self.graph.view();
        let facts = |i| view.facts(i).expect("a layer");
        let in_place = |i| facts(i).output == Output::InPlace;
        // Samples in their own place are not to be changed.
        let mut holder = i;
        while in_place(holder) && (holder == i || layers[holder].activation.is_none()) {
            holder = view.layers()[holder].inputs()[0];
        }
        let reads_samples = holder == 0
            && layers[0].activation.is_none()
            && !matches!(view.layers()[i].kind, Kind::Flatten(_));
        if !reads_samples && facts(i).output != Output::Sums {
            config.activation = config.activation.filter(|_| own[0]);
        }
        if in_place(i) || !trains(view, layers, i) {
            config.activation_grad = config.activation_grad.filter(|_| own[1]);
        }
        config
    }
}

/// Whether a gradient reaches the output of a layer: parameters of it move, or of one that leads to
/// it.
pub fn trains(view: GraphView<'_>, layers: &[LayerConfig], i: usize) -> bool {
    let facts = view.facts(i).expect("a layer");
    moving(&layers[i], &facts).iter().any(|numbers| !numbers.is_empty())
        || i > 0 && view.layers()[i].inputs().into_iter().any(|input| trains(view, layers, input))
}

/// The numbers of a weight and of a bias that move.
pub fn moving(config: &LayerConfig, facts: &Facts) -> [Range<usize>; 2] {
    let ([units, depth], biases) = (facts.weights, facts.biases);
    let rows = match config.update {
        Update::All => 0..units,
        Update::Channels { first, count } => first.into()..usize::from(first + count),
        _ => 0..0,
    };
    let of_bias = match config.update {
        Update::Bias => 0..biases,
        _ if biases == 0 => 0..0,
        _ => rows.clone(),
    };
    [rows.start * depth..rows.end * depth, of_bias]
}
