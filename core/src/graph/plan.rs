//! The memory plan: where every tensor lives, for how long, and how wide its sums are.
//!
//! The same `const fn` serves a `static` arena on a chip and the simulator. Parameters come
//! first, so that a checkpoint is one range of bytes. Activations live from their forward pass to
//! their last use in the backward pass; what is never alive at the same time shares memory.

use super::{
    builder::Graph,
    cursor::Cursor,
    demand::{Demand, largest_tensor},
    error::PlanError,
    flow::Flow,
    life::{Life, Lives},
    region::{LayerPlan, Left, Region, Shared},
    sizes::{HookNeeds, Sizes},
    view::GraphView,
};
use crate::{
    config::{LayerConfig, Train},
    layer::{Kind, Output},
    optim::Lr,
    stored::Stored,
    tensor::Width,
};

/// The memory plan of a graph of at most `N` layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan<const N: usize> {
    pub(super) layers: [LayerPlan; N],
    pub(super) len: u8,
    /// What all layers share.
    pub shared: Shared,
    /// Samples in memory at once.
    pub micro_batch: u16,
    /// What a sample is of a batch.
    pub(crate) share: Lr,
    /// Bytes of parameters, at the start of the arena.
    pub persistent: usize,
    pub(super) ram: usize,
}

impl<const N: usize> Graph<N> {
    /// The plan of a network with the same settings in every layer, for a `const`. For a trainer
    /// without strategies: with one, see [`plan_with_hooks`](Self::plan_with_hooks).
    pub const fn plan(&self, train: &Train, layer: &LayerConfig) -> Plan<N> {
        self.plan_with_hooks(train, layer, HookNeeds::NONE)
    }

    /// As [`plan`](Self::plan), for a trainer with strategies that need this much in every layer.
    /// Weights and activations on their way through a hook take memory; gradients take none.
    ///
    /// ```
    /// use fixgrad::{graph::HookNeeds, prelude::*};
    ///
    /// /// Does nothing, and does not say so.
    /// struct Mine;
    /// impl Strategy for Mine {}
    ///
    /// const NET: Graph<4> = Graph::input([1, 8, 8]).dense("fc1", 32).relu().dense("fc2", 10);
    /// const TRAIN: Train = Train::new(32, Lr::ratio(1, 2));
    /// const LAYER: LayerConfig = LayerConfig::tiny();
    /// const PLAN: Plan<4> = NET.plan_with_hooks(&TRAIN, &LAYER, HookNeeds::ANYWHERE);
    ///
    /// let config = Config::uniform(NET.view(), LAYER, TRAIN);
    /// let mut arena = Arena::<{ PLAN.ram() }>::for_plan(&PLAN);
    /// let trainer = Trainer::new(&NET, &config, arena.as_mut_slice(), Scalar, Mine)?;
    /// assert_eq!(trainer.plan(), &PLAN);
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    pub const fn plan_with_hooks(
        &self,
        train: &Train,
        layer: &LayerConfig,
        hooks: HookNeeds,
    ) -> Plan<N> {
        let view = self.view();
        let settings = self.uniform(layer);
        let (settings, _) = settings.split_at(view.layers().len());
        match Plan::new(view, settings, Sizes::of(train), &[hooks; N]) {
            Ok(plan) => plan,
            Err(error) => panic!("{}", error.message().as_str()),
        }
    }

    /// The same settings in every layer, whose places are the layers of the graph; layers that only
    /// pass numbers on get no points.
    pub const fn uniform(&self, layer: &LayerConfig) -> [LayerConfig; N] {
        let view = self.view();
        let mut settings = [layer.passing(); N];
        let mut i = 0;
        while i < view.layers().len() {
            if let Some(facts) = view.facts(i) {
                settings[i] = layer.suited(facts.output);
            }
            i += 1;
        }
        settings
    }
}

impl<const N: usize> Plan<N> {
    /// Lays out the arena. `hooks` may be shorter than the layers; the rest needs nothing.
    pub const fn new(
        graph: GraphView<'_>,
        settings: &[LayerConfig],
        sizes: Sizes,
        hooks: &[HookNeeds],
    ) -> Result<Self, PlanError> {
        let layers = graph.layers();
        let count = layers.len();
        if count == 0 || count > N || count != settings.len() {
            return Err(PlanError::LayerCount);
        }
        if sizes.batch == 0 || sizes.micro_batch == 0 {
            return Err(PlanError::Batch);
        }
        if let Some(layer) = graph.unread() {
            return Err(PlanError::Unread { layer: layers[layer].name });
        }
        let mut plan = Self {
            layers: [LayerPlan::NONE; N],
            len: count as u8,
            shared: Shared { scratch: Region::NONE, row: Region::NONE, room: Region::NONE },
            micro_batch: sizes.micro_batch,
            share: Lr::quotient(1, sizes.batch as u32),
            persistent: 0,
            ram: 0,
        };
        let flow = graph.flow(settings);
        let (mut cursor, mut image) = (Cursor::new(), Cursor::new());
        let mut i = 0;
        while i < count {
            plan.place_masters((&mut cursor, &mut image), flow, i, &settings[i], sizes);
            plan.place_bounds(flow, i, &settings[i]);
            if cursor.overflowed() || image.overflowed() {
                return Err(PlanError::TooLarge { layer: layers[i].name });
            }
            i += 1;
        }
        plan.persistent = cursor.at() as usize;
        let least = if sizes.is_short() { 0 } else { TILE };
        let mut tile = max(sizes.tile, least);
        let (mut whole, mut row, mut room) = (0, 0, 0);
        let mut i = 0;
        while i < count {
            let layer = layers[i];
            let hook = if i < hooks.len() { hooks[i] } else { HookNeeds::NONE };
            let config = &settings[i];
            // Samples in their own place are not ours to change.
            let holder = plan.layers[layer.input as usize].output as usize;
            let Some(facts) = graph.facts(i) else { return Err(PlanError::LayerCount) };
            let needs_point = match (layer.kind, facts.output) {
                (Kind::Input(_) | Kind::Flatten(_), _) => false,
                (_, Output::Sums) => true,
                (_, Output::InPlace) => holder == 0 && settings[0].activation.is_none(),
                (_, Output::Codes) => false,
            };
            let needs_grad = !matches!(facts.output, Output::InPlace) && flow.trains(i);
            if needs_point && config.activation.is_none()
                || needs_grad && config.activation_grad.is_none()
            {
                return Err(PlanError::MissingPoint { layer: layer.name });
            }
            let [weights_stored, biases_stored] = flow.stored(i);
            if hook.weight && (weights_stored || biases_stored) {
                return Err(PlanError::StoredHook { layer: layer.name });
            }
            plan.place_params(&mut cursor, flow, i, config, sizes, hook);
            if let Err(terms) = plan.find_sums(graph, i, &facts, config, sizes, hook) {
                let terms = terms as u32;
                return Err(PlanError::NoMean { layer: layer.name, terms });
            }
            let demand = Demand::of((graph, flow), i, config, sizes, hook);
            room = max(room, plan.window_bytes(flow, i, config, demand.room));
            whole = max(whole, demand.whole);
            tile = max(tile, demand.row);
            row = max(row, demand.biases);
            if cursor.overflowed() {
                return Err(PlanError::TooLarge { layer: layer.name });
            }
            let products = demand.weights > 0 && !graph.is_norm(i);
            if config.per_channel && products && plan.layers[i].spread == 0 {
                let grad = match config.activation_grad {
                    Some(grad) => grad.bits,
                    None => 1,
                };
                let bits = [plan.layers[i].forward.bits, grad];
                return Err(PlanError::NoSpread { layer: layer.name, bits });
            }
            i += 1;
        }
        plan.shared.row = cursor.take(row, Width::I32);
        plan.shared.room = cursor.take(room, Width::I8);
        // Tiles larger than the largest tensor would only waste memory.
        let largest = largest_tensor(graph, sizes);
        let tile = if tile > largest { largest } else { tile };
        plan.shared.scratch = cursor.take(max(whole, max(tile, MIN_TILE)), Width::I32);
        let base = cursor.at();
        let mut lives = [[Life::new(0, 0); 5]; N];
        let mut i = 0;
        while i < count {
            // What a strategy does to numbers it shall not do twice.
            let hooked = i < hooks.len() && hooks[i].activation;
            if sizes.recompute && !hooked && flow.gap(i).is_some() {
                plan.layers[i].left = Left::Nothing;
            }
            lives[i] = plan.lives(flow, i);
            i += 1;
        }
        if cursor.overflowed() {
            return Err(PlanError::TooLarge { layer: layers[count - 1].name });
        }
        if let Err(layer) = plan.place_transients(base, flow, &lives, settings, hooks) {
            return Err(PlanError::TooLarge { layer: layers[layer].name });
        }
        plan.ram = plan.end(base) as usize;
        plan.place_tiles(base, flow, &lives);
        plan.find_ways(flow);
        Ok(plan)
    }

    /// When the tensors of layer `i` live: as [`Flow::lives`], without the moments at which an output
    /// that is made again is forgotten.
    pub const fn lives(&self, flow: Flow<'_>, i: usize) -> Lives {
        let mut lives = flow.lives(i);
        if self.layers[i].left.is_recomputed() {
            lives[0].gap = flow.gap(i);
        }
        lives
    }

    /// Bytes of the arena.
    pub const fn ram(&self) -> usize {
        self.ram
    }

    /// Bytes of the [stored](crate::stored) parameters to train with, or zero where none are read there.
    pub fn stored_bytes(&self) -> usize {
        let regions = || self.layers().iter().flat_map(LayerPlan::stored_regions);
        if regions().any(Region::is_stored) {
            Stored::bytes(self.layers().len(), regions().map(Region::stored_footprint).sum())
        } else {
            0
        }
    }

    /// Tensors whose bounds the trainer remembers.
    pub const fn bounds(&self) -> usize {
        match self.layers().last() {
            Some(layer) => layer.bounds.end(),
            None => 0,
        }
    }

    /// True when micro-batches leave the bits of whole batches wherever the range rules of
    /// activations and their gradients do not look at the tensor: no gradient of a weight or a bias
    /// drops bits before it is added up, or is rounded to sums of 16 bits, and no layer normalises.
    pub const fn exact_micro_batches(&self) -> bool {
        let (layers, mut i) = (self.layers(), 0);
        while i < layers.len() {
            if layers[i].weight_grad.drop > 0 || layers[i].bias_grad.drop > 0 {
                return false;
            }
            let [weights, biases] = [layers[i].weight.sum, layers[i].bias.sum];
            if weights.len > 0 && matches!(weights.width(), Width::I16)
                || biases.len > 0 && matches!(biases.width(), Width::I16)
            {
                return false;
            }
            // Its statistics are of what is in memory, and its sums are rounded. Or its sums of two units
            // may drop bits, as far as these lie apart.
            if matches!(layers[i].way.kind, Kind::BatchNorm(_) | Kind::Lstm(_)) {
                return false;
            }
            i += 1;
        }
        true
    }

    /// One entry a layer.
    pub const fn layers(&self) -> &[LayerPlan] {
        match self.layers.split_at_checked(self.len as usize) {
            Some((layers, _)) => layers,
            None => &self.layers,
        }
    }
}

/// Smallest number of sums worth a call of a kernel.
const MIN_TILE: usize = 64;
/// Sums of a tile at least, where a tensor has as many: kernels take four rows at a time, and with
/// fewer they do the work of four.
const TILE: usize = 128;

pub(super) const fn storage(bits: u8, off_grid: bool) -> Width {
    if off_grid { Width::I16 } else { Width::for_bits(bits) }
}

pub(super) const fn max(a: usize, b: usize) -> usize {
    if a > b { a } else { b }
}

#[cfg(test)]
mod tests {
    use super::{super::region::Sum, *};
    use crate::config::Update;
    use crate::layer::{Conv2d, Lstm};
    use crate::quant::{Point, Quant, Range};

    const NET: Graph<5> =
        Graph::input([1, 8, 8]).dense("fc1", 32).relu().dense("fc2", 10).expect([10, 1, 1]);

    const SEQUENCES: Graph<10> = Graph::input([3, 1, 6])
        .lstm("lstm1", Lstm::new(5).sequence())
        .relu()
        .lstm("lstm2", Lstm::new(4).truncate(2))
        .dense("fc", 3);

    #[test]
    fn the_smallest_plan_is_what_the_tensors_need() {
        const TRAIN: Train = Train::new(32, Lr::ratio(1, 2));
        const PLAN: Plan<5> = NET.plan(&TRAIN, &LayerConfig::tiny());
        let weights = 64 * 32 + 32 * 10 + 2 * (32 + 10);
        let activations = 32 * (64 + 32 + 10);
        // The gradient of the outputs dies before nothing else is born; that of the hidden layer
        // takes the place of the outputs and its neighbours.
        let gradients = 32 * (32 + 10);
        let sums = 4 * (TILE + 32);
        assert!(PLAN.ram() <= weights + activations + gradients + sums, "{}", PLAN.ram());
        assert_eq!(PLAN.persistent, weights);
        assert_eq!(PLAN.ram(), 7508);
    }

    /// The formula of README, for 8-bit codes that are the master weights and one moving bound.
    fn formula(batch: usize, outputs: &[usize]) -> usize {
        let pairs = || outputs.windows(2);
        let weights: usize = pairs().map(|pair| pair[0] * pair[1]).sum();
        let biases: usize = outputs[1..].iter().sum();
        let activations: usize = outputs[..outputs.len() - 1].iter().sum();
        let gradients = outputs[1..].windows(2).map(|pair| pair[0] + pair[1]).max().unwrap();
        let (row, units) = (outputs.iter().max().unwrap(), outputs[1..].iter().max().unwrap());
        weights + 2 * biases + batch * (activations + gradients) + 4 * TILE.max(*row) + 4 * units
    }

    #[test]
    fn readme_and_its_formula_agree_with_the_plan() {
        const TRAIN: Train = Train::new(32, Lr::ratio(1, 2));
        const DIGITS: Plan<5> = NET.plan(&TRAIN, &LayerConfig::tiny());
        const MNIST: Graph<4> = Graph::input([1, 28, 28]).dense("fc1", 100).relu().dense("fc2", 10);
        const PICTURES: Plan<4> = MNIST.plan(&TRAIN, &LayerConfig::tiny());
        assert_eq!(formula(32, &[64, 32, 10]), DIGITS.ram());
        assert_eq!(formula(32, &[784, 100, 10]), PICTURES.ram());
        let readme = include_str!("../../../README.md");
        for ram in [DIGITS.ram(), PICTURES.ram()] {
            let stated = std::format!("{},{:03}", ram / 1000, ram % 1000);
            assert!(readme.contains(&stated), "README does not state {stated}");
        }
    }

    #[test]
    fn a_rule_that_looks_at_all_biases_has_room_for_them() {
        let graph: Graph<3> = Graph::input([2, 1, 6]).lstm("lstm", Lstm::new(64)).dense("fc", 2);
        let plan = |range| {
            let quant = Quant::new(8).range(range);
            let layer = LayerConfig { bias: Point::new(quant), ..LayerConfig::tiny() };
            graph.plan(&Train::new(4, Lr::ZERO), &layer)
        };
        assert_eq!(plan(Range::Max).shared.scratch.len as usize, TILE);
        assert_eq!(plan(Range::Sweep).shared.scratch.len, 4 * 64);
    }

    #[test]
    fn what_is_never_trained_keeps_one_step() {
        let plan = |updates: [Update; 4]| {
            let mut settings = SEQUENCES.uniform(&LayerConfig::tiny());
            for (settings, update) in settings.iter_mut().skip(1).zip(updates) {
                settings.update = update;
            }
            let sizes = Sizes::of(&Train::new(4, Lr::ZERO));
            Plan::<10>::new(SEQUENCES.view(), &settings[..5], sizes, &[]).unwrap()
        };
        let (still, all) = (Update::Nothing, Update::All);
        let memo = |plan: &Plan<10>, i: usize| plan.layers()[i].memo.bytes();
        // A cell keeps its state, four gates and a hidden state, and the end of a region is aligned.
        let cells = |units: usize, steps: usize| 4 * steps * units * 7 + 2;
        let whole = plan([all; 4]);
        assert_eq!((memo(&whole, 1), memo(&whole, 3)), (cells(5, 6), cells(4, 6)));
        let head = plan([still, all, all, all]);
        assert_eq!((memo(&head, 1), memo(&head, 3)), (cells(5, 1), cells(4, 6)));
        assert_eq!(head.layers()[1].aligned_grad.len, 0);
        assert_eq!(whole.layers()[1].aligned_grad.len, 4 * 6 * 20);
    }

    #[test]
    fn hooks_on_weights_and_activations_take_memory() {
        const TRAIN: Train = Train::new(32, Lr::ratio(1, 2));
        let layer = LayerConfig::tiny();
        let none = NET.plan_with_hooks(&TRAIN, &layer, HookNeeds::NONE);
        assert_eq!(none, NET.plan(&TRAIN, &layer));
        let some = NET.plan_with_hooks(&TRAIN, &layer, HookNeeds::ANYWHERE);
        assert!(some.ram() > none.ram());
    }

    #[test]
    fn sums_of_every_width_stay_below_31_bits() {
        for a in 1..=16 {
            for b in 1..=16 {
                for terms in [1, 2, 63, 64, 65, 784, 65_535, u64::from(u32::MAX) + 2] {
                    let sum = Sum::of(a, b, terms);
                    let exact = (1i128 << (a - 1)) * (1i128 << (b - 1)) * terms as i128;
                    assert!(exact <= 1 << sum.bits, "{a} {b} {terms}");
                    assert!(sum.kept() <= 30 && (a.max(b) > 8 || terms > 65_535 || sum.drop == 0));
                }
            }
        }
    }

    #[test]
    fn what_32_bits_cannot_count_is_refused() {
        const WIDE: Graph<3> = Graph::input([65_535, 1, 1]).dense("fc", 65_535);
        const LONG: Graph<4> = Graph::input([65_535, 1, 1]).relu().dense("fc", 1);
        let layer = LayerConfig::new(8);
        let train = Train::new(1, Lr::ZERO);
        let plan = Plan::<3>::new(WIDE.view(), &[layer; 2], Sizes::of(&train), &[]);
        assert!(matches!(plan, Err(PlanError::TooLarge { layer }) if layer.as_str() == "fc"));
        // Each tensor fits, two that live together do not.
        let train = Train { micro_batch: 65_535, ..Train::new(65_535, Lr::ZERO) };
        for moving in [false, true] {
            let mut layer = LayerConfig::new(8);
            if moving {
                layer = LayerConfig::tiny();
            }
            let settings = [layer, layer, layer];
            let plan = Plan::<4>::new(LONG.view(), &settings, Sizes::of(&train), &[]);
            assert!(matches!(plan, Err(PlanError::TooLarge { .. })), "{moving}");
        }
    }

    #[test]
    fn bounds_of_channels_need_a_bit_to_spare() {
        let mut layer = LayerConfig { per_channel: true, ..LayerConfig::new(8) };
        let settings = |layer: LayerConfig| [layer, layer, layer.passing(), layer];
        let sizes = Sizes::of(&Train::new(4, Lr::ZERO));
        let plan = |layer| Plan::<5>::new(NET.view(), &settings(layer), sizes, &[]);
        assert!(plan(layer).is_ok());
        if let Some(grad) = &mut layer.activation_grad {
            grad.bits = 16;
        }
        let error = plan(layer).unwrap_err();
        let bits =
            "layer fc1: sums of 20 bits (at most 29) or gradients of 16 (at most 15) leave none";
        assert!(std::format!("{error}").starts_with(bits), "{error}");
    }

    #[test]
    fn micro_batches_are_exact_while_no_weight_gradient_drops_bits() {
        let plan = |batch, bits| NET.plan(&Train::new(batch, Lr::ZERO), &LayerConfig::new(bits));
        assert!(plan(1000, 8).exact_micro_batches());
        assert!(plan(1, 16).exact_micro_batches());
        assert!(!plan(2, 16).exact_micro_batches());
        // A convolution adds up all pixels of a batch, and its bias does.
        let convolved = |channels, bits| {
            let conv = Conv2d::new(1, 1);
            let graph: Graph<2> = Graph::input([channels, 32, 32]).conv2d("conv", conv);
            move |batch| graph.plan(&Train::new(batch, Lr::ZERO), &LayerConfig::new(bits))
        };
        assert!(convolved(3, 8)(64).exact_micro_batches());
        assert!(!convolved(3, 8)(65).exact_micro_batches());
        let plan = convolved(3, 16)(33);
        assert_eq!((plan.layers()[1].bias_grad.bits, plan.layers()[1].bias_grad.drop), (31, 1));
    }

    #[test]
    fn a_mean_over_more_than_its_sums_can_hold_is_refused() {
        let plan = |side, bits| {
            let graph: Graph<3> = Graph::input([1, side, side]).global_avg_pool().dense("fc", 2);
            let settings = [LayerConfig::new(bits); 3];
            let sizes = Sizes::of(&Train::new(1, Lr::ZERO));
            Plan::<3>::new(graph.view(), &settings, sizes, &[]).map(|plan| plan.layers()[1].forward)
        };
        assert_eq!(plan(128, 16).unwrap(), Sum { bits: 29, drop: 0 });
        assert!(plan(256, 8).is_ok());
        for (side, terms) in [(255, "65,025"), (256, "65,536")] {
            let error = plan(side, 16).unwrap_err();
            let text = std::format!("{error}");
            let start = std::format!("layer global_avg_p1: sums of {terms} numbers leave no bit");
            assert!(text.starts_with(&start), "{text}");
        }
    }
}
