//! Random layers: of what is drawn, what fits goes into the graph.

use fixgrad::{
    config::LayerConfig,
    graph::{
        AvgPool2d, Conv2d, Dense, Flatten, GlobalAvgPool, Graph, Kind, MaxPool2d, Output, Padding,
        Relu,
    },
};
use proptest::{collection::vec, prelude::*, sample::Index};

/// Layers that a random graph holds at most.
pub const LAYERS: usize = 7;

/// The shape of the samples, and kinds of layers for them: vectors as often as pictures.
pub fn shape_and_kinds() -> impl Strategy<Value = ([u16; 3], Vec<Kind>)> {
    let vectors = ((1..100u16).prop_map(|features| [features, 1, 1]), vec(of_vectors(), LAYERS));
    let pictures =
        ((1..=4u16, 1..=9u16, 1..=9u16).prop_map(<[u16; 3]>::from), vec(of_pictures(), LAYERS));
    prop_oneof![vectors, pictures]
}

fn of_vectors() -> impl Strategy<Value = Kind> {
    prop_oneof![
        4 => (1..50u16, any::<bool>()).prop_map(|(units, bias)| Dense { units, bias }.into()),
        2 => Just(Relu.into()),
        1 => Just(Flatten.into()),
    ]
}

fn of_pictures() -> impl Strategy<Value = Kind> {
    let window = || {
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
    };
    let conv = (1..4u16, window(), any::<[bool; 2]>()).prop_map(
        |(channels, (kernel, stride, padding), [bias, dense])| {
            // Most convolutions look at every pixel.
            let stride = if dense { [1; 2] } else { stride };
            Conv2d { channels, kernel, stride, padding, groups: 1, bias }.into()
        },
    );
    let max =
        window().prop_map(|(kernel, stride, padding)| MaxPool2d { kernel, stride, padding }.into());
    let avg =
        window().prop_map(|(kernel, stride, padding)| AvgPool2d { kernel, stride, padding }.into());
    prop_oneof![
        6 => conv,
        4 => max,
        4 => avg,
        1 => Just(GlobalAvgPool.into()),
        3 => of_vectors(),
    ]
}

/// A graph on its way, and the settings of its layers.
pub struct Draft {
    /// The graph.
    pub graph: Graph<LAYERS>,
    /// One entry a layer.
    pub layers: Vec<LayerConfig>,
}

impl Draft {
    /// Samples of this shape.
    pub fn new(shape: [u16; 3], first: LayerConfig) -> Self {
        Self { graph: Graph::input(shape), layers: vec![first] }
    }

    /// A layer more, if it fits. A convolution gets the groups that `chosen` points at, of those
    /// that divide its input. Layers that need no points have them where `own` says so: one for the
    /// activation, one for its gradient.
    pub fn push(&mut self, kind: Kind, chosen: Index, config: LayerConfig, own: [bool; 2]) {
        let view = self.graph.view();
        let input = view.layers().last().expect("an input");
        let kind = match kind {
            Kind::Conv2d(conv) => {
                let channels = input.shape.0[0];
                let groups: Vec<u16> =
                    (1..=channels).filter(|groups| channels.is_multiple_of(*groups)).collect();
                let groups = *chosen.get(&groups);
                // A few channels of each group, where that stays small.
                let each = if groups > 8 { 1 } else { conv.channels };
                Conv2d { channels: each * groups, groups, ..conv }.into()
            }
            kind => kind,
        };
        // The name says the place, so it is free.
        let name = format!("layer{}", view.layers().len());
        if self.graph.push(&name, kind).is_err() {
            return;
        }
        let config = self.suited(config, own);
        self.layers.push(config);
    }

    /// Settings for the last layer.
    fn suited(&self, mut config: LayerConfig, own: [bool; 2]) -> LayerConfig {
        let view = self.graph.view();
        let last = view.layers().len() - 1;
        let facts = |i| view.facts(i).expect("a layer");
        let trains = (0..=last).any(|i| facts(i).weights() > 0);
        let in_place = matches!(facts(last).output, Output::InPlace);
        // Samples in their own place are not to be changed.
        let passed = (1..last).all(|i| matches!(facts(i).output, Output::InPlace));
        let reads_samples = in_place
            && !matches!(view.layers()[last].kind, Kind::Flatten(_))
            && passed
            && self.layers.iter().all(|layer| layer.activation.is_none());
        if !reads_samples && facts(last).output != Output::Sums {
            config.activation = config.activation.filter(|_| own[0]);
        }
        if in_place || !trains {
            config.activation_grad = config.activation_grad.filter(|_| own[1]);
        }
        config
    }
}
