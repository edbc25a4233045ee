//! Parameters that are read where they are stored, and those that a training begins with: what
//! [`store`](Trainer::store) wrote.

use super::{
    Planned, Trainer,
    engine::{At, Engine},
    point::Passed,
    state::States,
};
use crate::{
    config::{CRC32, Config, LayerConfig},
    graph::{Graph, GraphView, LayerPlan, Name, Plan, Region},
    kernel::Kernel,
    stored::{Stored, StoredError},
    strategy::Strategy,
    tensor::Mantissas,
    trainer::{SetupError, Task},
    uses::{Ranges, Stock, Stocked, Uses},
};

/// A plan or a task whose parameters are stored.
#[derive(Clone, Copy, Debug)]
pub struct Backed<'a, P> {
    planned: P,
    stored: Stored<'a>,
}

impl<const N: usize, P: Planned<N>> Planned<N> for Backed<'_, P> {
    type Uses = Stocked<P::Uses>;
    fn plan(&self) -> &Plan<N> {
        self.planned.plan()
    }
    fn stored(&self) -> Option<&Stored<'_>> {
        Some(&self.stored)
    }
}

/// All regions of a plan in the order in which they are stored: the layer, which of its regions, and the
/// first byte.
pub(super) fn places(plan: &[LayerPlan]) -> impl Iterator<Item = (usize, usize, Region, usize)> {
    let all = plan.iter().enumerate();
    let all =
        all.flat_map(|(i, plan)| (0..).zip(plan.stored_regions()).map(move |(k, r)| (i, k, r)));
    all.scan(0, |next, (i, which, region)| {
        let from = *next;
        *next += region.stored_footprint();
        Some((i, which, region, from))
    })
}

/// A hash of where and how parameters lie.
pub(super) fn layout(plan: &[LayerPlan], layers: &[LayerConfig]) -> u32 {
    let mut digest = CRC32.digest();
    for (plan, config) in plan.iter().zip(layers) {
        let bits = [config.weight.bits(), config.bias.bits(), plan.spread];
        let bounds = [config.master.bound, config.bias_master.bound, 0];
        for ((region, bits), bound) in plan.stored_regions().into_iter().zip(bits).zip(bounds) {
            digest.update(&region.len.to_le_bytes());
            if region.len == 0 {
                // Settings of what a layer does not have are nobody's business.
                continue;
            }
            let about = if region.is_stored() { bits.into() } else { bound };
            digest.update(&[region.width().bits(), region.is_stored().into()]);
            digest.update(&about.to_le_bytes());
        }
    }
    digest.finalize()
}

/// Whether stored parameters are those of this network, where it needs some.
pub(super) fn check<const N: usize>(
    graph: GraphView<'_>,
    planned: &impl Planned<N>,
    layers: &[LayerConfig],
) -> Result<(), StoredError> {
    let (plan, stored) = (planned.plan().layers(), planned.stored().stored());
    let number = |layer: usize| Name::numbered("layer", layer as u8);
    let name = |i: usize| graph.layers().get(i).map_or(number(i), |layer| layer.name);
    let Some(stored) = stored else {
        let reads = |(_, _, region, _): &(usize, usize, Region, usize)| region.is_stored();
        return match places(plan).find(reads) {
            Some((layer, ..)) => Err(StoredError::Missing { layer: name(layer) }),
            None => Ok(()),
        };
    };
    let (expected, found) = (graph.hash(), stored.graph);
    if expected != found {
        return Err(StoredError::OtherGraph { expected, found });
    }
    let end: usize =
        plan.iter().flat_map(LayerPlan::stored_regions).map(Region::stored_footprint).sum();
    let fits = stored.layers() == plan.len() && stored.parameters.len() == end;
    if !fits || stored.layout != layout(plan, layers) {
        return Err(StoredError::OtherSettings);
    }
    for ((i, which, region, _), layer) in places(plan).filter_map(|place| {
        let layer = layers.get(place.0)?;
        place.2.is_stored().then_some((place, layer))
    }) {
        let codes = stored.codes(region);
        if codes.len() != region.len as usize {
            return Err(StoredError::Misaligned);
        }
        let spread = plan.get(i).map_or(0, |plan| plan.spread);
        let allowed = match which {
            0 => in_bits(layer.weight.bits()),
            1 => in_bits(layer.bias.bits()),
            _ => 0..=spread.into(),
        };
        let near = stored.exponents(i).iter().all(|exponent| exponent.unsigned_abs() <= 256);
        if !near || !(0..codes.len()).all(|k| allowed.contains(&codes.get(k))) {
            return Err(StoredError::Values { layer: name(i) });
        }
    }
    let odd =
        (0..plan.len()).find(|&i| !stored.memory(i).is_some_and(|memory| memory.is_plausible()));
    odd.map_or(Ok(()), |i| Err(StoredError::Values { layer: name(i) }))
}

/// Codes of so many bits.
fn in_bits(bits: u8) -> core::ops::RangeInclusive<i32> {
    let half = 1 << (bits - 1);
    -half..=half - 1
}

/// The region, where it lies in the arena.
#[inline(always)]
pub(super) fn in_arena<U: Uses>(region: &Region) -> &Region {
    if U::Stock::IS_LINKED && region.is_stored() { &Region::NONE } else { region }
}

/// What was found in the arena, or else what is stored.
#[inline(always)]
pub(super) fn or_stored<'m, 's: 'm, U: Uses>(
    stock: U::Stock<'s>,
    region: &Region,
    here: Mantissas<'m>,
) -> Mantissas<'m> {
    match stock.stored() {
        Some(stored) if region.is_stored() => stored.codes(*region),
        _ => here,
    }
}

impl<'e, K: Kernel, S: Strategy, U: Uses> Engine<'e, K, S, U> {
    /// Weights and biases that need no quantising, since they are stored as codes.
    #[inline(always)]
    pub(super) fn stored_params(&self, at: At<'e>) -> [Option<Passed>; 2] {
        let Some(stored) = self.stored.stored() else { return [None, None] };
        let [weight, bias] = stored.exponents(at.i);
        let (At { plan, config, .. }, lies) = (at, |region: Region| region.is_stored());
        [
            lies(plan.weight.master).then(|| Passed::before(weight, config.weight.bits())),
            lies(plan.bias.master).then(|| Passed::before(bias, config.bias.bits())),
        ]
    }
}

impl<'a, const N: usize, K: Kernel, S: Strategy> Trainer<'a, N, K, S, Backed<'a, Plan<N>>> {
    /// As [`with_tile`](Trainer::with_tile), with the parameters to begin with.
    #[inline(never)]
    pub fn with_stored(
        graph: &'a Graph<N>,
        config: &'a Config<N>,
        stored: Stored<'a>,
        memory: &'a mut [u8],
        kernel: K,
        strategy: S,
        tile: usize,
    ) -> Result<Self, SetupError> {
        let planned = Trainer::<N, K, S>::plan_for(graph, config, &strategy, tile)?;
        let (train, layers) = (&config.train, config.layers.as_slice());
        let purpose = (graph.view(), train, layers, config.strategies.as_slice());
        let backed = Backed { planned, stored };
        Self::begin(purpose, Some(config), backed, memory, kernel, strategy)
    }
}

impl<'a, const N: usize, K: Kernel, S: Strategy, U: Uses>
    Trainer<'a, N, K, S, Backed<'a, &'a Task<N, U>>>
{
    /// As [`of`](Trainer::of), with the parameters to begin with. Those that do not move are read where
    /// they are.
    pub fn of_stored(
        task: &'a Task<N, U>,
        stored: Stored<'a>,
        memory: &'a mut [u8],
        kernel: K,
        strategy: S,
    ) -> Result<Self, SetupError> {
        task.check(&strategy)?;
        let backed = Backed { planned: task, stored };
        Self::begin(task.purpose(), None, backed, memory, kernel, strategy)
    }
}

impl<const N: usize, K: Kernel, S: Strategy, P: Planned<N>> Trainer<'_, N, K, S, P> {
    /// Parameters that move begin with what is stored of them, and bounds with those that were found.
    #[inline(always)]
    pub(super) fn begin_with_stored(&mut self) {
        let plan = self.plan.plan().layers();
        let Some(stored) = self.plan.stored().stored() else { return };
        for (_, _, region, from) in places(plan).filter(|(_, _, region, _)| !region.is_stored()) {
            let bytes = stored.parameters.get(from..from + region.bytes()).unwrap_or_default();
            if let Some(place) = self.memory.get_mut(region.range())
                && place.len() == bytes.len()
            {
                place.copy_from_slice(bytes);
            }
        }
        let memories = (0..plan.len()).map(|i| stored.memory(i));
        let mut states = States::new(plan, &mut self.exponents, self.ranges.all_mut());
        for (layer, memory) in memories.enumerate() {
            if let Some(memory) = memory {
                states.restore(layer, &memory);
            }
        }
    }

    /// The checksum of what training began with, if it was stored.
    pub(crate) fn stored_crc(&self) -> Option<u32> {
        self.plan.stored().stored().map(|stored| stored.crc)
    }

    /// The bytes of parameters, in memory or where they are stored.
    pub(super) fn bytes_of(&self, region: Region) -> Option<&[u8]> {
        match self.plan.stored().stored() {
            Some(stored) if region.is_stored() => {
                let at = region.stored_offset() as usize;
                stored.parameters.get(at..at + region.bytes())
            }
            _ => self.memory.get(region.range()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;
    use crate::{
        config::{Master, Train, Update},
        graph::{Arena, Conv2d},
        kernel::Scalar,
        optim::Lr,
        quant::{Point, Quant, Range},
        stored::Aligned,
        tensor::Width,
        trainer::{LayerMemory, SampleData, Samples, StoreError, Targets, state::Tensor},
    };

    const NET: Graph<9> = Graph::input([2, 6, 6])
        .conv2d("conv1", Conv2d::new(4, 3))
        .relu()
        .conv2d("conv2", Conv2d::new(4, 1))
        .from_layer("relu2")
        .add("conv2")
        .conv2d("conv3", Conv2d::new(3, 2))
        .dense("fc", 3);
    const TRAIN: Train = Train::new(4, Lr::ratio(1, 4));
    /// Bytes that all of it fits into.
    const ROOM: usize = 4000;
    const CLASSES: Targets<'static> = Targets::Classes(&[0, 1, 2, 0]);

    /// conv2 does not move, conv3 moves by its biases, all else moves.
    fn settings(bits: u8, channels: bool, stored: bool) -> Config<9> {
        let mut layer = LayerConfig { stored, per_channel: channels, ..LayerConfig::new(bits) };
        layer.bias = Point::new(Quant::new(16));
        let mut config = Config::uniform(NET.view(), layer, TRAIN);
        config.layers[3].update = Update::Nothing;
        config.layers[5].update = Update::Bias;
        config
    }

    fn data() -> Vec<u8> {
        (0..4 * 72).map(|i| (i * i % 251) as u8).collect()
    }

    /// What a trainer has after some steps, stored for another.
    fn image(
        config: &Config<9>,
        target: &Config<9>,
        steps: u32,
    ) -> Result<Aligned<[u8; ROOM]>, StoreError> {
        let mut arena = Arena::<40_000>::new();
        let mut trainer = Trainer::new(&NET, config, arena.as_mut_slice(), Scalar, ()).unwrap();
        let data = data();
        for _ in 0..steps {
            let samples = Samples { data: SampleData::U8(&data), exponent: -8 };
            trainer.step(samples, CLASSES).unwrap();
        }
        let plan = Trainer::<9, Scalar, ()>::plan_for(&NET, target, &(), 0).unwrap();
        let mut image = Aligned([0; ROOM]);
        trainer.store(&plan, &target.layers, &mut image.0).map(|_| ())?;
        Ok(image)
    }

    /// The part of `bytes` that is parameters stored for `config`.
    fn read<'b>(bytes: &'b Aligned<[u8; ROOM]>, config: &Config<9>) -> Stored<'b> {
        let plan = Trainer::<9, Scalar, ()>::plan_for(&NET, config, &(), 0).unwrap();
        let parameters = plan
            .layers()
            .iter()
            .flat_map(LayerPlan::stored_regions)
            .map(Region::stored_footprint)
            .sum();
        Stored::read(&bytes.0[..Stored::bytes(7, parameters)]).unwrap()
    }

    /// Outputs and bounds after some steps, and the loss of all.
    fn train<P: Planned<9>>(
        trainer: &mut Trainer<'_, 9, Scalar, (), P>,
    ) -> (Vec<i32>, Vec<Option<i16>>, u64) {
        let data = data();
        let samples = Samples { data: SampleData::U8(&data), exponent: -8 };
        let mut loss = 0;
        for _ in 0..5 {
            loss += trainer.step(samples, CLASSES).unwrap().tally.loss;
        }
        trainer.infer(samples).unwrap();
        let outputs = (0..4).flat_map(|i| {
            let outputs = trainer.outputs(i).codes;
            (0..3).map(|k| outputs.get(k)).collect::<Vec<_>>()
        });
        let outputs = outputs.collect();
        let bounds = trainer.states().flat_map(|s| Tensor::ALL.map(|t| s.range(t).bound()));
        (outputs, bounds.collect(), loss)
    }

    #[test]
    fn what_is_stored_trains_as_what_is_in_ram() {
        for (bits, channels) in [(8, false), (8, true), (4, false), (12, true)] {
            let (whole, lean) = (settings(bits, channels, false), settings(bits, channels, true));
            // Both begin with what some steps left behind.
            let steps = u32::from(bits) % 8;
            let images = [&whole, &lean].map(|target| image(&whole, target, steps).unwrap());
            let mut arenas = [const { Arena::<40_000>::new() }; 2];
            let [one, other] = arenas.each_mut().map(Arena::as_mut_slice);
            let full = read(&images[0], &whole);
            let mut full = Trainer::with_stored(&NET, &whole, full, one, Scalar, (), 0).unwrap();
            let stored = read(&images[1], &lean);
            let mut small =
                Trainer::with_stored(&NET, &lean, stored, other, Scalar, (), 0).unwrap();
            let plan = small.plan().layers();
            assert!(plan[3].weight.codes.is_stored() && plan[3].bias.codes.is_stored());
            assert!(plan[5].weight.codes.is_stored() && !plan[5].bias.codes.is_stored());
            assert!(small.plan().ram() < full.plan().ram());
            assert_eq!(train(&mut small), train(&mut full), "{bits} {channels}");
            // Back to the start.
            let known = small.digest();
            small.reset();
            assert_ne!(small.digest(), known);
            train(&mut small);
            assert_eq!(small.digest(), known);
            // What was learned is stored with what did not move.
            let (plan, mut again) = (*small.plan(), Aligned([0; ROOM]));
            small.store(&plan, &lean.layers, &mut again.0).unwrap();
            let again = read(&again, &lean);
            for (_, _, region, from) in places(plan.layers()) {
                let range = from..from + region.bytes();
                let equal = again.parameters[range.clone()] == stored.parameters[range.clone()];
                assert!(equal || !region.is_stored() && !range.is_empty(), "{region:?}");
            }
            assert_ne!(again.parameters, stored.parameters);
        }
    }

    #[test]
    fn bounds_of_what_never_trains_are_stored_again() {
        let keep = |mut config: Config<9>| {
            for layer in &mut config.layers[..4] {
                layer.update = Update::Nothing;
                (layer.weight.train.range, layer.bias.train.range) = (Range::Keep, Range::Keep);
            }
            config
        };
        let (whole, lean) = (settings(8, false, false), keep(settings(8, false, true)));
        let image = image(&whole, &lean, 3).unwrap();
        let stored = read(&image, &lean);
        let mut arena = Arena::<40_000>::new();
        let mut small =
            Trainer::with_stored(&NET, &lean, stored, arena.as_mut_slice(), Scalar, (), 0).unwrap();
        // Of what lies below all that trains, a trainer remembers no bound.
        let bound = |memory: &LayerMemory| Tensor::ALL.map(|tensor| memory.bound(tensor));
        let now: Vec<_> = small.states().map(|state| bound(&state.memory())).collect();
        assert_eq!(now[1][0], None);
        let (plan, mut again) = (*small.plan(), Aligned([0; ROOM]));
        small.store(&plan, &lean.layers, &mut again.0).unwrap();
        let again = read(&again, &lean);
        for (layer, now) in now.into_iter().enumerate() {
            let [before, after] = [&stored, &again].map(|s| bound(&s.memory(layer).unwrap()));
            assert_eq!(after, before, "{layer}");
            assert!(
                now.into_iter()
                    .zip(before)
                    .all(|(now, before)| now.is_none_or(|now| Some(now) == before))
            );
        }
        assert_eq!(again.parameters, stored.parameters);
    }

    #[test]
    fn what_is_not_stored_for_a_network_is_refused() {
        const OTHER: Graph<9> = Graph::input([2, 6, 6]).dense("fc", 3);
        let (whole, lean) = (settings(8, true, false), settings(8, true, true));
        let mut arena = Arena::<40_000>::new();
        let memory = arena.as_mut_slice();
        let missing = Trainer::new(&NET, &lean, memory, Scalar, ()).err();
        let layer = Name::new("conv2").unwrap();
        assert_eq!(missing, Some(SetupError::Stored(StoredError::Missing { layer })));
        // Nobody has looked at the weights.
        let kept = [&whole, &lean].map(|config| {
            let mut config = config.clone();
            config.layers[3].weight.train.range = Range::Keep;
            config
        });
        let untrained = image(&kept[0], &kept[1], 0).err();
        assert_eq!(untrained, Some(StoreError::Untrained { layer }));
        // Codes with 16 bits are as long as masters, and have other units.
        let good = image(&whole, &lean, 1).unwrap();
        let stored = read(&good, &lean);
        let mut room = Arena::<40_000>::new();
        let room = room.as_mut_slice();
        let mut small = Trainer::with_stored(&NET, &lean, stored, room, Scalar, (), 0).unwrap();
        let mut moving = lean.clone();
        moving.layers[3].update = Update::Bias;
        let plan = Trainer::<9, Scalar, ()>::plan_for(&NET, &moving, &(), 0).unwrap();
        let codes = small.store(&plan, &moving.layers, &mut [0; ROOM]).map(|_| ());
        assert_eq!(codes, Err(StoreError::Codes { layer }));
        let mut begin = |config: &Config<9>, stored| {
            let found = Trainer::with_stored(&NET, config, stored, memory, Scalar, (), 0);
            match found.err() {
                Some(SetupError::Stored(error)) => Some(error),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(begin(&whole, stored), Some(StoredError::OtherSettings));
        let mut wide = settings(8, true, true);
        wide.layers[6].master.bound += 1;
        assert_eq!(begin(&wide, stored), Some(StoredError::OtherSettings));
        // Settings of parameters that a layer does not have say nothing about what is stored.
        let mut bare = settings(8, true, true);
        bare.layers[2].master = Master { width: Width::I8, bound: 5, ..bare.layers[2].master };
        let mut room = Arena::<40_000>::new();
        let begun = Trainer::with_stored(&NET, &bare, stored, room.as_mut_slice(), Scalar, (), 0);
        assert_eq!(begun.err(), None);
        let mut odd = Aligned([0; ROOM]);
        odd.0[1..].copy_from_slice(&good.0[..ROOM - 1]);
        let shifted = Stored::read(&odd.0[1..][..stored.size()]).unwrap();
        assert_eq!(begin(&lean, shifted), Some(StoredError::Misaligned));
        // A channel's bound cannot lie that far below.
        let plan = Trainer::<9, Scalar, ()>::plan_for(&NET, &lean, &(), 0).unwrap();
        let below = plan.layers()[3].channels.stored_offset() as usize;
        let mut odd = stored.parameters.to_vec();
        odd[below] = 200;
        let odd = Stored { parameters: &odd, ..stored };
        assert_eq!(begin(&lean, odd), Some(StoredError::Values { layer }));

        let other = Stored { graph: OTHER.view().hash(), ..stored };
        assert!(matches!(begin(&lean, other), Some(StoredError::OtherGraph { .. })));
        let mut trainer = Trainer::with_stored(&NET, &lean, stored, memory, Scalar, (), 0).unwrap();
        let mut short = [0; 100];
        let error = trainer.store(&plan, &lean.layers, &mut short);
        assert_eq!(error, Err(StoreError::BufferTooSmall { needed: stored.size(), found: 100 }));
        let samples = Samples { data: SampleData::U8(&data()), exponent: -8 };
        trainer.accumulate(samples, CLASSES).unwrap();
        assert_eq!(trainer.store(&plan, &lean.layers, &mut short), Err(StoreError::Pending));
    }
}
