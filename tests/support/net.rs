//! Random networks with random settings and random data.

use std::fmt;

use fixgrad::{
    config::{Config, Init, LayerConfig, Master, Train, Update},
    graph::{Conv2d, Graph, PlanError},
    kernel::Scalar,
    optim::Lr,
    quant::{Overflow, Point, Quant, Range, Round},
    rng::Key,
    strategy::{Amount, GradientBuffer, LayerSet, Noise, Place, StrategyConfig, StrategyKind},
    tensor::Width,
    trainer::{SampleData, Samples, SetupError, Targets, Trainer},
};
use proptest::{collection::vec, prelude::*, sample::select, strategy::Union};

pub use crate::layers::LAYERS;
use crate::{
    layers::{self, Draft, Drawn, moving},
    settings,
};

/// A network, its settings, and one batch for each step.
#[derive(Clone)]
pub struct Case {
    /// The network.
    pub graph: Graph<LAYERS>,
    /// Its settings.
    pub config: Config<LAYERS>,
    /// Mantissas of the samples, one batch after the other.
    pub samples: Vec<i16>,
    /// The same as bytes where the first layer reads them in their place, else empty.
    pub codes: Vec<i8>,
    /// Exponent of their unit.
    pub exponent: i16,
    /// What the samples should give.
    pub targets: Wanted,
}

/// Without the data where they would fill pages.
impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (layer, config) in self.graph.view().layers().iter().zip(&self.config.layers) {
            writeln!(f, "{layer:?}\n    {config:?}")?;
        }
        writeln!(f, "{:?}\n{:?}", self.config.train, self.config.strategies)?;
        let count = self.samples.len();
        if count > FEW {
            return write!(f, "exponent {}, {count} mantissas, for {} steps", self.exponent, STEPS);
        }
        write!(f, "exponent {}, {:?} for {:?}", self.exponent, self.samples, self.targets)
    }
}

/// Targets of a case.
#[derive(Clone, Debug)]
pub enum Wanted {
    /// One class a sample.
    Classes(Vec<u16>),
    /// One value an output, and the exponent of their unit.
    Values(Vec<i16>, i16),
}

/// Mantissas that are worth printing.
const FEW: usize = 300;

/// Steps that a case has data for.
pub const STEPS: usize = 3;

impl Case {
    /// Elements of one sample.
    pub fn features(&self) -> usize {
        self.graph.view().layers()[0].shape.elements()
    }

    fn outputs(&self) -> usize {
        self.graph.view().layers().last().map_or(0, |layer| layer.shape.elements())
    }

    /// Samples `from..from + count` of the whole case.
    pub fn samples(&self, from: usize, count: usize) -> Samples<'_> {
        let data = match self.codes[..] {
            [] => SampleData::I16(&self.samples),
            _ => SampleData::I8(&self.codes),
        };
        let all = Samples { data, exponent: self.exponent };
        all.part(from * self.features(), count * self.features())
    }

    /// Their targets.
    pub fn targets(&self, from: usize, count: usize) -> Targets<'_> {
        match &self.targets {
            Wanted::Classes(classes) => Targets::Classes(&classes[from..from + count]),
            Wanted::Values(values, exponent) => Targets::Values {
                mantissas: &values[from * self.outputs()..(from + count) * self.outputs()],
                exponent: *exponent,
            },
        }
    }
}

/// What a random case may contain.
#[derive(Clone, Copy, Debug)]
pub struct Variety {
    /// Range rules of activations and their gradients may look at the whole batch.
    pub whole_batch_ranges: bool,
    /// Only rounding rules without random numbers.
    pub deterministic: bool,
    /// Ready-made strategies.
    pub strategies: bool,
    /// The batch is a multiple of this.
    pub parts: u16,
}

/// A case with any settings.
pub const ANYTHING: Variety =
    Variety { whole_batch_ranges: true, deterministic: false, strategies: true, parts: 1 };

/// Random cases: as many of vectors as of pictures.
pub fn case(variety: Variety) -> impl Strategy<Value = Case> {
    let drawn = (any::<prop::sample::Index>(), layers::link(), layer(variety), any::<[bool; 2]>());
    let drawn = drawn.prop_map(|(groups, link, config, own)| Drawn { groups, link, config, own });
    let layers = vec(drawn, 1..LAYERS - 1);
    let strategies = vec(strategy(), 0..if variety.strategies { 3 } else { 1 });
    let first = (layer(variety), any::<bool>());
    (layers::shape_and_kinds(), layers, first, settings::train(variety), strategies, -12..4i16)
        .prop_map(|((shape, kinds), middle, (mut first, point), train, strategies, exponent)| {
            first.activation = first.activation.filter(|_| point);
            let mut draft = Draft::new(shape, first);
            for (kind, drawn) in kinds.into_iter().zip(&middle) {
                draft.push(kind, drawn);
            }
            let (graph, layers) = draft.finish();
            let config = Config {
                train,
                layers: layers.into_iter().collect(),
                strategies: strategies.into_iter().collect(),
            };
            (graph, config, exponent)
        })
        .prop_filter("something to train", |(graph, config, _)| {
            let facts = (0..).map_while(|i| graph.view().facts(i));
            let mut moving = config.layers.iter().zip(facts).flat_map(|(c, f)| moving(c, &f));
            moving.any(|numbers| !numbers.is_empty())
        })
        .prop_map(|(graph, mut config, exponent)| {
            without_cramped_channels(&graph, &mut config);
            (graph, config, exponent)
        })
        .prop_flat_map(|(graph, config, exponent)| {
            let layers = graph.view().layers();
            let features = layers[0].shape.elements();
            let outputs = layers[layers.len() - 1].shape.elements();
            let count = usize::from(config.train.batch) * STEPS;
            // What is read in its place is a code of eight bits.
            let wide = if config.layers[0].activation.is_some() { 0 } else { 8 };
            let samples = (any::<u64>(), 0..SAMPLES.len()).prop_map(move |(seed, kind)| {
                let mut numbers = numbers(seed, count * features, SAMPLES[kind]);
                numbers.iter_mut().for_each(|number| *number >>= wide);
                numbers
            });
            let classes = any::<u64>().prop_map(move |seed| {
                let key = Key::new(seed);
                Wanted::Classes(
                    (0..count as u32).map(|i| key.below(i, outputs as u32) as u16).collect(),
                )
            });
            let values = (any::<u64>(), -20..4i16).prop_map(move |(seed, exponent)| {
                Wanted::Values(numbers(seed, count * outputs, SAMPLES[0]), exponent)
            });
            (Just((graph, config, exponent)), samples, prop_oneof![classes, values])
        })
        .prop_map(|((graph, config, exponent), samples, targets)| {
            let in_place = config.layers[0].activation.is_none();
            let codes = samples.iter().filter(|_| in_place).map(|&number| number as i8).collect();
            Case { graph, config, samples, codes, exponent, targets }
        })
}

/// Takes bounds for every channel away where the sums leave no room for their spread.
fn without_cramped_channels(graph: &Graph<LAYERS>, config: &mut Config<LAYERS>) {
    while let Err(SetupError::Plan(PlanError::NoSpread { layer, .. })) =
        Trainer::<LAYERS, Scalar, ()>::plan_for(graph, config, &(), 0)
    {
        let rows = graph.view().layers().iter().zip(&mut config.layers);
        let cramped = rows.filter(|(row, _)| row.name == layer);
        cramped.for_each(|(_, config)| config.per_channel = false);
    }
}

/// From random bits to sample mantissas: any, bytes, extremes.
const SAMPLES: [fn(u16) -> i16; 3] = [
    |bits| bits as i16,
    |bits| (bits & 511) as i16 - 256,
    |bits| match bits % 6 {
        0 => i16::MIN,
        1 => -1,
        2 => 1,
        3 => i16::MAX,
        _ => 0,
    },
];

/// Made from a seed, so that a failing case shrinks in its settings and not number by number.
fn numbers(seed: u64, count: usize, of: fn(u16) -> i16) -> Vec<i16> {
    let key = Key::new(seed);
    (0..count as u32).map(|i| of(key.half(i) as u16)).collect()
}

/// A network large enough that work is cut for threads, and a batch of noise for it.
pub fn large(layer: LayerConfig) -> Case {
    let graph = Graph::input([1, 28, 28]).dense("fc1", 100).relu().dense("fc2", 10);
    noise(graph, layer, 64)
}

/// The same with convolutions and pools.
pub fn large_pictures(layer: LayerConfig) -> Case {
    let graph = Graph::input([3, 28, 28])
        .conv2d("conv1", Conv2d::new(16, 5))
        .relu()
        .max_pool(2)
        .conv2d("conv2", Conv2d::new(32, 3).same().groups(4))
        .avg_pool(4)
        .dense("fc", 10);
    noise(graph, layer, 8)
}

/// Uniform settings, and a batch of noise of ten classes for each step.
pub fn noise(graph: Graph<LAYERS>, layer: LayerConfig, batch: u16) -> Case {
    let train = Train { momentum: 29_491, ..Train::new(batch, Lr::ratio(1, 4)) };
    let count = usize::from(batch) * STEPS;
    let key = Key::new(5);
    Case {
        config: Config::uniform(graph.view(), layer, train),
        graph,
        samples: numbers(6, count * graph.view().layers()[0].shape.elements(), SAMPLES[1]),
        codes: Vec::new(),
        exponent: -8,
        targets: Wanted::Classes((0..count as u32).map(|i| key.below(i, 10) as u16).collect()),
    }
}

fn layer(variety: Variety) -> impl Strategy<Value = LayerConfig> {
    let batch_range = || range(variety.whole_batch_ranges);
    let params = (point(range(true), variety), point(range(true), variety));
    let grads =
        (quant(range(true), variety), quant(range(true), variety), quant(batch_range(), variety));
    let masters = (master(), master(), update());
    (params, point(batch_range(), variety), grads, any::<bool>(), masters).prop_map(
        |((weight, bias), activation, (weight_grad, bias_grad, grad), per_channel, masters)| {
            let (master, bias_master, update) = masters;
            let moves = |quant: Quant| matches!(quant.range, Range::Moving { .. });
            let per_channel = per_channel && !moves(weight.train) && !moves(weight.infer);
            LayerConfig {
                weight,
                bias,
                activation: Some(activation),
                weight_grad,
                bias_grad,
                activation_grad: Some(grad),
                per_channel,
                master,
                bias_master,
                update,
                stored: false,
            }
        },
    )
}

fn update() -> impl Strategy<Value = Update> {
    prop_oneof![
        4 => Just(Update::All),
        1 => Just(Update::Bias),
        1 => Just(Update::Nothing),
        2 => (0..8u16, 0..8u16).prop_map(|(first, count)| Update::Channels { first, count }),
    ]
}

fn point(range: impl Strategy<Value = Range>, variety: Variety) -> impl Strategy<Value = Point> {
    // Master weights that the multiplication reads itself want exactly this.
    let master = Just(Quant::new(8).range(Range::Fixed(0)));
    let train = prop_oneof![6 => quant(range, variety), 1 => master];
    (
        train,
        any::<bool>(),
        prop_oneof![3 => Just(None), 1 => quant(self::range(true), variety).prop_map(Some)],
    )
        .prop_map(|(train, clip, infer)| {
            let point = Point { clip, ..Point::new(train) };
            Point { infer: infer.unwrap_or(point.infer), ..point }
        })
}

/// Any settings of a point.
pub fn quant(
    range: impl Strategy<Value = Range>,
    variety: Variety,
) -> impl Strategy<Value = Quant> {
    let bits = prop_oneof![select(vec![1u8, 2, 4, 8, 8, 16]), 1..=16u8];
    let mut rounds = Round::ALL.to_vec();
    rounds.retain(|&round| !variety.deterministic || round == round.deterministic());
    (bits, range, select(rounds), select(Overflow::ALL.to_vec()))
        .prop_map(|(bits, range, round, overflow)| Quant { bits, range, round, overflow })
}

fn range(whole: bool) -> impl Strategy<Value = Range> {
    let mut rules = vec![
        (-10..6i16).prop_map(Range::Fixed).boxed(),
        Just(Range::Keep).boxed(),
        (1..4u8, prop_oneof![Just(10_000), 0..10_000u16])
            .prop_map(|(window, percentile)| Range::Moving { window, percentile })
            .boxed(),
    ];
    if whole {
        rules.extend([
            Just(Range::Max).boxed(),
            Just(Range::ThreeSigma).boxed(),
            Just(Range::Sweep).boxed(),
            (0..=10_000u16).prop_map(Range::Percentile).boxed(),
        ]);
    }
    Union::new(rules)
}

fn master() -> impl Strategy<Value = Master> {
    let init = vec![Init::Zero, Init::HeUniform, Init::XavierUniform, Init::LecunUniform];
    (select(vec![Width::I8, Width::I16, Width::I32]), prop_oneof![Just(0), -4..4i16], select(init))
        .prop_map(|(width, bound, init)| Master { width, bound, init })
}

fn strategy() -> impl Strategy<Value = StrategyConfig> {
    let places = vec![Place::Weight, Place::WeightGrad, Place::Activation, Place::ActivationGrad];
    let noise = (select(places), amount(), amount(), any::<bool>()).prop_map(
        |(place, pre, post, requantize)| {
            StrategyKind::Noise(place, Noise { pre, post, requantize })
        },
    );
    let buffer = (-10..6i16, 2..=30u8)
        .prop_map(|(bound, bits)| StrategyKind::GradientBuffer(GradientBuffer { bound, bits }));
    let layers = prop_oneof![Just(LayerSet::ALL), any::<u64>().prop_map(LayerSet)];
    (layers, prop_oneof![3 => noise, 1 => buffer])
        .prop_map(|(layers, kind)| StrategyConfig { layers, kind })
}

fn amount() -> impl Strategy<Value = Amount> {
    prop_oneof![
        Just(Amount::None),
        (-300..0i16, 0..300i16, -16..0i16).prop_map(|(low, high, exponent)| Amount::Uniform {
            low,
            high,
            exponent
        }),
        (-300..0i16, 0..300i16).prop_map(|(low, high)| Amount::UniformSteps { low, high }),
    ]
}
