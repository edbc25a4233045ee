//! A network, its settings and its memory plan in one constant.

use core::marker::PhantomData;

use super::{SetupError, Trainer, state::Purpose};
use crate::{
    config::{LayerConfig, Train, validate},
    graph::{Graph, GraphView, Message, Plan, Sizes},
    kernel::Kernel,
    strategy::{Place, Strategy},
    uses::{Everything, Part, Ranges, Stock, Uses},
};

/// What is trained, and how, made in a `const`: all of it lies in flash, and what cannot be
/// planned or is no good setting is a build error.
///
/// ```
/// use fixgrad::prelude::*;
///
/// const NET: Graph<4> = Graph::input([2, 1, 1]).dense("fc1", 8).relu().dense("fc2", 2);
/// static TASK: Task<4> = Task::new(NET, Train::new(4, Lr::ratio(1, 2)), LayerConfig::tiny());
///
/// let mut arena = Arena::<{ TASK.ram() }>::new();
/// let mut trainer = Trainer::of(&TASK, arena.as_mut_slice(), Scalar, ())?;
///
/// let samples = Samples { data: SampleData::I8(&[0, 0, 0, 64, 64, 0, 64, 64]), exponent: -6 };
/// trainer.step(samples, Targets::Classes(&[0, 1, 1, 0]))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// `U` says which parts of the trainer are linked for it, by default all. See [`uses`](crate::uses).
///
/// A part that the settings use and the type leaves out is a build error:
///
/// ```compile_fail
/// # use fixgrad::{prelude::*, uses::Only};
/// # const NET: Graph<4> = Graph::input([2, 1, 1]).dense("fc1", 8).relu().dense("fc2", 2);
/// static TASK: Task<4, Only<0>> = Task::new(NET, Train::new(4, Lr::ratio(1, 2)), LayerConfig::tiny());
/// ```
#[derive(Clone, Debug)]
pub struct Task<const N: usize, U = Everything> {
    graph: Graph<N>,
    train: Train,
    layers: [LayerConfig; N],
    plan: Plan<N>,
    uses: PhantomData<U>,
}

impl<const N: usize, U: Uses> Task<N, U> {
    /// The same settings for every layer; layers that only pass numbers on get no points.
    ///
    /// # Panics
    ///
    /// In a `const`, where that stops the build: when the settings are not ones that arithmetic can
    /// rely on, when there is no memory plan, and when `U` leaves out what they use.
    pub const fn new(graph: Graph<N>, train: Train, layer: LayerConfig) -> Self {
        Self::with_layers(graph, train, graph.uniform(&layer))
    }

    /// With settings of its own for every layer, such as [`Graph::uniform`] makes and the caller
    /// changes. An input without an activation point is read in its place.
    ///
    /// ```
    /// use fixgrad::{config::Update, prelude::*};
    ///
    /// const NET: Graph<4> = Graph::input([2, 1, 1]).dense("fc1", 8).relu().dense("fc2", 2);
    /// /// Of the first layer, only the biases move.
    /// const LAYERS: [LayerConfig; 4] = {
    ///     let mut layers = NET.uniform(&LayerConfig::tiny());
    ///     layers[1].update = Update::Bias;
    ///     layers
    /// };
    /// static TASK: Task<4> = Task::with_layers(NET, Train::new(4, Lr::ratio(1, 2)), LAYERS);
    /// ```
    ///
    /// # Panics
    ///
    /// As [`new`](Self::new).
    pub const fn with_layers(graph: Graph<N>, train: Train, layers: [LayerConfig; N]) -> Self {
        let (used, _) = layers.split_at(graph.view().layers().len());
        let parts = train.parts_of(graph.view(), used);
        Self::build(graph, train, layers, parts)
    }

    /// As [`new`](Self::new), for samples that are the codes of the first layer: signed bytes, or
    /// pixels of at most 7 bits. They are read where the caller has them, such as in flash, and
    /// take no memory. Such a task does not use [`Part::InputPoint`].
    ///
    /// # Panics
    ///
    /// As [`new`](Self::new).
    pub const fn in_place(graph: Graph<N>, train: Train, layer: LayerConfig) -> Self {
        let mut layers = graph.uniform(&layer);
        if let Some(input) = layers.first_mut() {
            *input = input.passing();
        }
        Self::with_layers(graph, train, layers)
    }

    const fn build(graph: Graph<N>, train: Train, layers: [LayerConfig; N], parts: u64) -> Self {
        let view = graph.view();
        let (used, _) = layers.split_at(view.layers().len());
        if let Err(error) = validate(view, &train, used) {
            panic!("{}", error.message().as_str());
        }
        let plan = match Plan::new(view, used, Sizes::of(&train), &[]) {
            Ok(plan) => plan,
            Err(error) => panic!("{}", error.message().as_str()),
        };
        let missing = parts & !U::PARTS;
        if missing != 0 {
            panic!("{}", left_out(missing).as_str());
        }
        let room = <U::Ranges<N> as Ranges>::LEN;
        if plan.bounds() > room {
            panic!("{}", no_room(plan.bounds(), room).as_str());
        }
        Self { graph, train, layers, plan, uses: PhantomData }
    }

    /// Bytes of the arena.
    pub const fn ram(&self) -> usize {
        self.plan.ram()
    }

    /// Tensors whose bounds the trainer remembers, for [`Fitted`](crate::uses::Fitted).
    pub const fn bounds(&self) -> usize {
        self.plan.bounds()
    }

    /// The memory plan.
    pub const fn plan(&self) -> &Plan<N> {
        &self.plan
    }

    /// The network.
    pub const fn graph(&self) -> GraphView<'_> {
        self.graph.view()
    }

    /// Multiply-adds of one training sample: see [`Flow::training_macs`](crate::graph::Flow::training_macs).
    pub fn training_macs(&self) -> usize {
        self.graph().flow(self.layers()).training_macs()
    }

    fn layers(&self) -> &[LayerConfig] {
        self.layers.get(..self.plan.layers().len()).unwrap_or_default()
    }

    pub(super) fn purpose(&self) -> Purpose<'_> {
        (self.graph(), &self.train, self.layers(), &[])
    }

    /// Whether plan and parts have room for what the strategy does.
    pub(super) fn check<S: Strategy>(&self, strategy: &S) -> Result<(), SetupError> {
        let works = |layer, places: &[Place]| places.iter().any(|&at| strategy.active(layer, at));
        let planned: &[Place] = if U::uses(Part::Strategies) {
            &[Place::Weight, Place::Activation]
        } else {
            &[Place::Weight, Place::Activation, Place::WeightGrad, Place::ActivationGrad]
        };
        if (0..).zip(self.layers()).any(|(layer, _)| works(layer, planned)) {
            return Err(SetupError::Unplanned);
        }
        Ok(())
    }
}

/// The sentence for parts that are used and not linked.
const fn left_out(missing: u64) -> Message {
    let m = Message::new();
    if missing >> Part::COUNT != 0 || missing & Part::Depthwise.bit() != 0 {
        return m.text(
            "the network has layers of kinds that the type of the task leaves out: give it the \
             parts that `Train::parts` finds and the `GraphView::kinds` of the network, or none \
             for all",
        );
    }
    m.text("the settings use parts of the trainer that the type of the task leaves out (bits ")
        .number(missing as usize)
        .text(
            "): give it the parts that `Train::parts` finds, with statistics for percentiles and \
             deviations, or none for all",
        )
}

/// The sentence for bounds that have no place.
const fn no_room(needed: usize, found: usize) -> Message {
    Message::new()
        .text("the network has ")
        .number(needed)
        .text(" tensors with bounds, and the type of the task has room for ")
        .number(found)
        .text(": give it what `Task::bounds` counts")
}

/// What a trainer works by: a plan that it made itself, or a task, whose plan lies in flash.
pub trait Planned<const N: usize> {
    /// The parts of the trainer that are linked.
    type Uses: Uses;
    /// The memory plan.
    fn plan(&self) -> &Plan<N>;
    /// The parameters to begin with, if any are stored.
    fn stored(&self) -> <Self::Uses as Uses>::Stock<'_>;
}

impl<const N: usize> Planned<N> for Plan<N> {
    type Uses = Everything;
    fn plan(&self) -> &Plan<N> {
        self
    }
    fn stored(&self) {}
}

impl<const N: usize, U: Uses> Planned<N> for &Task<N, U> {
    type Uses = U;
    fn plan(&self) -> &Plan<N> {
        &self.plan
    }
    fn stored(&self) -> U::Stock<'_> {
        U::Stock::NONE
    }
}

impl<'a, const N: usize, K: Kernel, S: Strategy, U: Uses> Trainer<'a, N, K, S, &'a Task<N, U>> {
    /// A trainer of a task with freshly initialised weights. A strategy that works on weights or
    /// activations needs memory that the plan of a task does not have; [`new`](Trainer::new) plans
    /// for it. One that works on gradients needs [`Part::Strategies`] among the parts.
    pub fn of(
        task: &'a Task<N, U>,
        memory: &'a mut [u8],
        kernel: K,
        strategy: S,
    ) -> Result<Self, SetupError> {
        task.check(&strategy)?;
        Self::begin(task.purpose(), None, task, memory, kernel, strategy)
    }
}

#[cfg(test)]
mod tests {
    use crate::{prelude::*, trainer::SetupError, uses::Only};

    const NET: Graph<4> = Graph::input([2, 1, 1]).dense("fc1", 8).relu().dense("fc2", 2);
    const TRAIN: Train = Train::new(4, Lr::ratio(1, 2));
    static TASK: Task<4> = Task::new(NET, TRAIN, LayerConfig::tiny());

    struct On(Place);

    impl Strategy for On {
        fn active(&self, _: u8, place: Place) -> bool {
            place == self.0
        }
    }

    #[test]
    fn a_task_trains_as_its_parts_do() {
        let config = Config::uniform(NET.view(), LayerConfig::tiny(), TRAIN);
        let mut memories = [const { Arena::<{ TASK.ram() }>::new() }; 2];
        let [one, other] = &mut memories;
        let mut task = Trainer::of(&TASK, one.as_mut_slice(), Scalar, ()).unwrap();
        let mut parts = Trainer::new(&NET, &config, other.as_mut_slice(), Scalar, ()).unwrap();
        assert_eq!(task.plan(), parts.plan());
        let samples = Samples { data: SampleData::I8(&[0, 0, 0, 64, 64, 0, 64, 64]), exponent: -6 };
        let targets = Targets::Classes(&[0, 1, 1, 0]);
        for _ in 0..9 {
            assert_eq!(task.step(samples, targets), parts.step(samples, targets));
            assert_eq!(task.persistent(), parts.persistent());
        }
    }

    /// The parts that settings need leave the bits that all leave.
    macro_rules! needs_no_more {
        ($($name:ident: $net:expr, |$layers:ident| $change:block $(, $setting:ident: $value:expr)*;)*) => {$(
            #[test]
            fn $name() {
                const NET: Graph<8> = $net;
                const TRAIN: Train = Train { $($setting: $value,)* ..super::tests::TRAIN };
                #[allow(unused_mut, reason = "most take the layers as they are")]
                const LAYERS: [LayerConfig; 8] = {
                    let mut $layers = NET.uniform(&LayerConfig::tiny());
                    $change
                    $layers
                };
                const PARTS: u64 = TRAIN.parts_of(NET.view(), &LAYERS);
                static WHOLE: Task<8> = Task::with_layers(NET, TRAIN, LAYERS);
                static NEEDED: Task<8, Only<PARTS>> = Task::with_layers(NET, TRAIN, LAYERS);
                let numbers = 4 * NET.view().layers()[0].shape.elements();
                let data: std::vec::Vec<i8> = (0..numbers).map(|i| (i * i % 251) as u8 as i8).collect();
                let samples = Samples { data: SampleData::I8(&data), exponent: -7 };
                let mut memories = [const { Arena::<{ WHOLE.ram() }>::new() }; 2];
                let [one, other] = memories.each_mut().map(Arena::as_mut_slice);
                let mut whole = Trainer::of(&WHOLE, one, Scalar, ()).unwrap();
                let mut needed = Trainer::of(&NEEDED, other, Scalar, ()).unwrap();
                for _ in 0..4 {
                    let targets = Targets::Classes(&[0, 1, 1, 0]);
                    assert_eq!(needed.step(samples, targets), whole.step(samples, targets));
                    assert_eq!(needed.digest(), whole.digest());
                }
            }
        )*};
    }
    needs_no_more! {
        bounds_of_channels: Graph::input([8, 1, 1]).dense("fc1", 8).relu().dense("fc2", 2), |layers| {
            (layers[1].per_channel, layers[3].per_channel) = (true, true);
        };
        a_gradient_point_in_the_place_of_another_layer:
            Graph::input([8, 1, 1]).dense("fc1", 8).relu().dense("fc2", 2), |layers| {
            layers[2].activation_grad = layers[1].activation_grad;
        };
        sums_of_more_bytes_than_31_bits_hold:
            Graph::input([3, 160, 160]).dense("fc1", 2).relu().relu(), |layers| {};
        convolutions_and_pools:
            Graph::input([2, 8, 8]).conv2d("conv1", Conv2d::new(4, 3)).max_pool(2).avg_pool(3).dense("fc", 2),
            |layers| {};
        convolutions_of_every_channel:
            Graph::input([2, 6, 6]).depthwise_conv2d("conv1", DepthwiseConv2d::new(3)).global_avg_pool()
                .dense("fc", 2), |layers| {};
        branches:
            Graph::input([4, 4, 4]).conv2d("conv1", Conv2d::new(4, 1)).split(0, 2).from_layer("conv1").split(2, 2)
                .concat("split2").add("conv1").dense("fc", 2), |layers| {};
        what_is_cut_at_borders:
            Graph::input([8, 1, 1]).dense("fc1", 8).relu6().dense("fc2", 8).hardtanh().dense("fc3", 8)
                .leaky_relu(2).dense("fc4", 2), |layers| {};
        curves:
            Graph::input([8, 1, 1]).dense("fc1", 8).sigmoid().dense("fc2", 8).tanh().dense("fc3", 8).hardsigmoid()
                .dense("fc4", 2), |layers| {};
        what_is_left_out: Graph::input([8, 1, 1]).dense("fc1", 8).dropout(1, 4).dense("fc2", 2), |layers| {};
        what_is_normalised:
            Graph::input([2, 4, 4]).conv2d("conv1", Conv2d::new(4, 3)).batch_norm().relu().dense("fc", 2),
            |layers| {};
        what_is_made_again:
            Graph::input([2, 6, 6]).conv2d("conv1", Conv2d::new(4, 3)).batch_norm().relu()
                .conv2d("conv2", Conv2d::new(4, 3)).dense("fc", 2), |layers| {}, recompute: true;
        cells: Graph::input([3, 1, 5]).lstm("lstm1", Lstm::new(4).sequence()).lstm("lstm2", Lstm::new(4))
            .dense("fc", 2), |layers| {};
        squares: Graph::input([8, 1, 1]).dense("fc1", 8).relu().dense("fc2", 2), |layers| {},
            loss: LossKind::Mse;
        a_probability_for_every_output: Graph::input([8, 1, 1]).dense("fc1", 8).relu().dense("fc2", 2), |layers| {},
            loss: LossKind::BceWithLogits;
        a_look_ahead: Graph::input([8, 1, 1]).dense("fc1", 8).relu().dense("fc2", 2), |layers| {},
            momentum: 29_491, optimizer: Optimizer::Nesterov;
        signs: Graph::input([8, 1, 1]).dense("fc1", 8).relu().dense("fc2", 2), |layers| {},
            optimizer: Optimizer::LION, lr: Lr::ratio(1, 200);
        decay_and_a_schedule: Graph::input([8, 1, 1]).dense("fc1", 8).relu().dense("fc2", 2), |layers| {},
            weight_decay: Lr::ratio(1, 100), schedule: Schedule::Cosine { floor: 0, steps: 4 }, warmup: 2;
        parts_of_a_batch: Graph::input([2, 4, 4]).conv2d("conv1", Conv2d::new(4, 3)).relu().dense("fc", 2),
            |layers| {}, micro_batch: 2;
        masters_of_their_own: Graph::input([8, 1, 1]).dense("fc1", 8).relu().dense("fc2", 2), |layers| {
            layers[1] = LayerConfig::new(4);
            layers[3] = LayerConfig::new(12);
        };
        what_moves_in_part:
            Graph::input([2, 4, 4]).conv2d("conv1", Conv2d::new(4, 3)).relu().dense("fc1", 4).relu().dense("fc2", 2),
            |layers| {
                layers[1].update = Update::Bias;
                layers[3].update = Update::Channels { first: 1, count: 2 };
            };
    }

    #[test]
    fn a_strategy_without_a_place_in_the_plan_is_refused() {
        let mut arena = Arena::<{ TASK.ram() }>::new();
        for place in [Place::Weight, Place::Activation] {
            let refused = Trainer::of(&TASK, arena.as_mut_slice(), Scalar, On(place));
            assert_eq!(refused.err(), Some(SetupError::Unplanned));
        }
        assert!(Trainer::of(&TASK, arena.as_mut_slice(), Scalar, On(Place::WeightGrad)).is_ok());
    }
}
