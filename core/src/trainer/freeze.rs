//! Layers leave training for flash, and come back.

use super::{Planned, Tensor, Trainer};
use crate::{
    config::LayerConfig,
    frozen::{FORMAT, Frozen, FrozenDense, FrozenError},
    graph::{Kind, Layer, Region},
    kernel::Kernel,
    quant::{Range, exponent_of},
    strategy::Strategy,
    tensor::Width,
    uses::Ranges,
};

impl<const N: usize, K: Kernel, S: Strategy, P: Planned<N>> Trainer<'_, N, K, S, P> {
    /// All layers as they answer in inference now. The parameters are those of the trainer;
    /// [`Frozen::write`] copies them.
    pub fn freeze(&self) -> Result<Frozen<'_, N>, FrozenError> {
        if !self.is_between_steps() {
            return Err(FrozenError::Pending);
        }
        let mut frozen = Frozen { layers: heapless::Vec::new() };
        for (i, layer) in self.graph.layers().iter().enumerate() {
            let settings = FrozenError::Settings { layer: layer.name };
            let config = self.layers.get(i).ok_or(settings)?;
            match (layer.kind, config.activation, frozen.layers.last_mut()) {
                (Kind::Dense(_), _, _) => {
                    // As many layers as the graph has fit.
                    let _ = frozen.layers.push(self.freeze_dense(i, layer)?);
                }
                (Kind::Relu(_), None, Some(below)) => below.relu = true,
                (Kind::Input(_) | Kind::Flatten(_), None, _) => {}
                (Kind::Relu(_) | Kind::Input(_) | Kind::Flatten(_), _, _) => return Err(settings),
                _ => return Err(FrozenError::Kind { layer: layer.name }),
            }
        }
        Ok(frozen)
    }

    fn freeze_dense(&self, i: usize, layer: &Layer) -> Result<FrozenDense<'_>, FrozenError> {
        let settings = FrozenError::Settings { layer: layer.name };
        let (Some(config), Some(plan)) = (self.layers.get(i), self.plan().layers().get(i)) else {
            return Err(settings);
        };
        let range = infer_range(config).ok_or(settings)?;
        if plan.activation.width() != Width::I8 || plan.weight.codes != plan.weight.master {
            return Err(settings);
        }
        let known = self.range(plan, Tensor::Activation).bound();
        let bound = match range {
            Range::Fixed(bound) => bound,
            _ => known.ok_or(FrozenError::Untrained { layer: layer.name })?,
        };
        // Pictures have more numbers than a frozen layer counts.
        let inputs = u16::try_from(self.graph.input_shape(i).elements()).map_err(|_| settings)?;
        let exponents = [config.master, config.bias_master].map(|master| master.exponent());
        let of = |region: Region| self.bytes_of(region).unwrap_or_default();
        Ok(FrozenDense {
            inputs,
            units: layer.shape.elements() as u16,
            relu: false,
            exponents: [exponents[0], exponents[1], exponent_of(bound, FORMAT.bits)],
            weights: of(plan.weight.master),
            biases: of(plan.bias.master),
        })
    }

    /// Layer `layer` of the graph goes on from a frozen one: its parameters, and the bound of its
    /// output. Momentum stays. What is refused changes nothing: parameters that are read where they are
    /// stored, among others.
    pub fn thaw(&mut self, layer: usize, frozen: &FrozenDense<'_>) -> Result<(), FrozenError> {
        if !self.is_between_steps() {
            return Err(FrozenError::Pending);
        }
        let row = self.graph.layers().get(layer).ok_or(FrozenError::OtherLayer)?;
        let config = self.layers.get(layer).ok_or(FrozenError::OtherLayer)?;
        let plan = self.plan().layers().get(layer).ok_or(FrozenError::OtherLayer)?;
        let (inputs, units) = (self.graph.input_shape(layer).elements(), row.shape.elements());
        let dense = matches!(row.kind, Kind::Dense(_));
        if !dense || (frozen.inputs(), frozen.units()) != (inputs, units) {
            return Err(FrozenError::OtherLayer);
        }
        infer_range(config).ok_or(FrozenError::Settings { layer: row.name })?;
        let masters = [config.master.exponent(), config.bias_master.exponent()];
        let [weight, bias, unit] = frozen.exponents;
        let (weights, biases, bounds) = (plan.weight.master, plan.bias.master, plan.bounds);
        let lengths = [weights, biases].map(Region::bytes);
        if [frozen.weights.len(), frozen.biases.len()] != lengths || [weight, bias] != masters {
            return Err(FrozenError::OtherLayer);
        }
        if weights.is_stored() || biases.is_stored() {
            return Err(FrozenError::Stored { layer: row.name });
        }
        for (region, bytes) in [(weights, frozen.weights), (biases, frozen.biases)] {
            // The plan's regions lie in the memory, which was checked.
            if let Some(place) = self.memory.get_mut(region.range()) {
                place.copy_from_slice(bytes);
            }
        }
        let place = bounds.place(Tensor::Activation);
        if let Some(range) = place.and_then(|at| self.ranges.all_mut().get_mut(at)) {
            range.settle(unit.saturating_add(i16::from(FORMAT.bits) - 1));
        }
        self.forget_the_step();
        Ok(())
    }
}

/// The range rule of the output in inference, where a frozen layer can have these settings: bytes
/// that are the master, and an output that needs no look at the tensor.
fn infer_range(config: &LayerConfig) -> Option<Range> {
    let quant = config.activation?.infer;
    let bytes = config.weight_is_master() && config.master.width == Width::I8;
    let biases = config.bias_is_master() && config.bias_master.width == Width::I16;
    let kept = matches!(quant.range, Range::Keep | Range::Fixed(_));
    (bytes && biases && kept && quant.format() == FORMAT).then_some(quant.range)
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;
    use crate::{
        config::Update,
        prelude::*,
        stored::{Aligned, Stored},
    };

    const NET: Graph<4> = Graph::input([6, 1, 1]).dense("fc1", 8).relu().dense("fc2", 3);
    const TRAIN: Train = Train::new(4, Lr::ratio(1, 2));
    static TASK: Task<4> = Task::in_place(NET, TRAIN, LayerConfig::tiny());
    static HEAD: Task<2> =
        Task::in_place(Graph::input([8, 1, 1]).dense("fc2", 3), TRAIN, LayerConfig::tiny());
    const CLASSES: Targets<'static> = Targets::Classes(&[0, 1, 2, 0]);

    fn data() -> [i8; 24] {
        core::array::from_fn(|i| (i * 37 % 201) as u8 as i8)
    }

    fn codes<const N: usize>(
        trainer: &mut Trainer<'_, N, Scalar, (), &Task<N>>,
        data: &[i8],
        exponent: i16,
    ) -> Vec<i32> {
        trainer.infer(Samples { data: SampleData::I8(data), exponent }).unwrap();
        let mut codes = Vec::new();
        for i in 0..4 {
            let outputs = trainer.outputs(i).codes;
            codes.extend((0..outputs.len()).map(|i| outputs.get(i)));
        }
        codes
    }

    #[test]
    fn frozen_layers_answer_as_the_trainer_and_thaw_into_another() {
        let mut arena = Arena::<{ TASK.ram() }>::new();
        let mut trainer = Trainer::of(&TASK, arena.as_mut_slice(), Scalar, ()).unwrap();
        assert!(matches!(trainer.freeze(), Err(FrozenError::Untrained { .. })));
        let data = data();
        let samples = Samples { data: SampleData::I8(&data), exponent: -6 };
        trainer.accumulate(samples, CLASSES).unwrap();
        assert_eq!(trainer.freeze(), Err(FrozenError::Pending));
        trainer.update().unwrap();
        for _ in 0..9 {
            trainer.step(samples, CLASSES).unwrap();
        }
        let expected = codes(&mut trainer, &data, -6);

        let mut buffer = [0; 256];
        let bytes = trainer.freeze().unwrap().write(NET.view(), &mut buffer).unwrap();
        let frozen = Frozen::<4>::read(NET.view(), bytes).unwrap();
        let [first, last] = frozen.layers() else { panic!("{frozen:?}") };
        assert_eq!((first.relu, last.relu), (true, false));
        let (mut sums, mut hidden, mut outputs) = ([0; 16], [0; 32], [0; 12]);
        let hidden = first.infer(&Scalar, &data, -6, &mut sums, &mut hidden).unwrap();
        last.infer(&Scalar, hidden, first.exponent(), &mut sums, &mut outputs).unwrap();
        assert_eq!(outputs.map(i32::from).as_slice(), expected);

        let mut arena = Arena::<{ HEAD.ram() }>::new();
        let mut head = Trainer::of(&HEAD, arena.as_mut_slice(), Scalar, ()).unwrap();
        head.thaw(1, last).unwrap();
        assert_eq!(codes(&mut head, hidden, first.exponent()), expected);
        let digest = head.digest();
        for wrong in [0, 2] {
            assert_eq!(head.thaw(wrong, last), Err(FrozenError::OtherLayer));
        }
        assert_eq!(head.thaw(1, first), Err(FrozenError::OtherLayer));
        assert_eq!(head.digest(), digest);
    }

    #[test]
    fn what_is_stored_is_frozen_where_it_lies_and_not_replaced() {
        const NET: Graph<3> = Graph::input([6, 1, 1]).dense("fc1", 8).dense("fc2", 3);
        let mut config = Config::uniform(NET.view(), LayerConfig::tiny(), TRAIN);
        config.layers[0] = config.layers[0].passing();
        let mut lean = config.clone();
        (lean.layers[1].stored, lean.layers[1].update) = (true, Update::Nothing);
        let mut arenas = [const { Arena::<4096>::new() }; 2];
        let [one, other] = arenas.each_mut().map(Arena::as_mut_slice);
        let mut whole = Trainer::new(&NET, &config, one, Scalar, ()).unwrap();
        let data = data();
        whole.step(Samples { data: SampleData::I8(&data), exponent: -6 }, CLASSES).unwrap();
        let plan = Trainer::<3, Scalar, ()>::plan_for(&NET, &lean, &(), 0).unwrap();
        let mut image = Aligned([0; 1024]);
        let len = whole.store(&plan, &lean.layers, &mut image.0).unwrap().len();
        let stored = Stored::read(&image.0[..len]).unwrap();
        let mut small = Trainer::with_stored(&NET, &lean, stored, other, Scalar, (), 0).unwrap();
        assert_eq!(small.freeze(), whole.freeze());
        let frozen = whole.freeze().unwrap();
        let layer = NET.view().layers()[1].name;
        assert_eq!(small.thaw(1, &frozen.layers()[0]), Err(FrozenError::Stored { layer }));
        assert_eq!(small.thaw(2, &frozen.layers()[1]), Ok(()));
    }

    #[test]
    fn what_a_frozen_layer_cannot_be_is_refused() {
        let mut points = LayerConfig::tiny();
        points.activation = Some(crate::quant::Point::new(crate::quant::Quant::new(8)));
        let train = |layer: LayerConfig, task: bool| {
            let mut config = Config::uniform(NET.view(), layer, TRAIN);
            if task {
                config.layers[0] = layer.passing();
            }
            let mut arena = Arena::<8192>::new();
            let mut trainer =
                Trainer::new(&NET, &config, arena.as_mut_slice(), Scalar, ()).unwrap();
            let samples = Samples { data: SampleData::I8(&data()), exponent: -6 };
            trainer.step(samples, CLASSES).unwrap();
            trainer.freeze().map(|frozen| frozen.layers().len())
        };
        assert_eq!(train(LayerConfig::tiny(), true), Ok(2));
        // A bound that is found by looking is kept in inference, as a moving one is.
        assert_eq!(train(points, true), Ok(2));
        let refused = |layer, task| matches!(train(layer, task), Err(FrozenError::Settings { .. }));
        assert!(refused(LayerConfig::tiny(), false), "samples with a point of their own");
        assert!(refused(LayerConfig::new(8), true), "wide masters");
        let mut wide = LayerConfig::tiny();
        wide.activation = Some(crate::quant::Point::new(crate::quant::Quant::new(9)));
        assert!(refused(wide, true));
    }
}
