//! The integer step against 64-bit floats.
//!
//! A recorder writes down the sums and the codes of every point. From the codes, floats compute
//! what the next sums must be, and from the sums what the codes must be, so no error of one place
//! hides in the next. A trainer without a strategy, on the paths that most users run, takes the same
//! steps and must be left with the same bits. The bound of each place follows from its widths:
//!
//! | place | bound | because |
//! |---|---|---|
//! | sums of products | 0 | products and sums of whole numbers below 2^53 are exact in floats |
//! | the same where the plan drops bits | 1 unit | the dropped bits are worth less than a unit |
//! | largest numbers of windows | 0 | they are chosen, not computed |
//! | normalised channels, and their gradients | see `norm.rs` | factors of about 20 bits |
//! | cells through time, and their gradients | 0 | as they are written, a second time; see `lstm.rs` |
//! | means of windows | 0 | sums times a whole factor; see `pools.rs` for the factor |
//! | softmax | see [`softmax`](crate::reference::softmax) | 15 bits and a table |
//! | the loss | see [`softmax_loss`](crate::reference::softmax_loss) and [`mse_loss`](crate::reference::mse_loss) | the same, and 16 bits |
//! | squared error | 1 unit | see [`mse`](crate::reference::mse) |
//! | codes | 0 | the rounding rule, with the documented random bits |
//! | velocity | the reach of the rule and 2^-14 units | two terms, each cut 15 bits below the unit |
//! | the same, by the written formula | 0 | one rounding of whole numbers |
//! | weights | 0 | one rounding of one product, and one of the decay |

mod backward;
mod elementwise;
mod features;
mod forward;
mod joins;
mod lstm;
pub mod lstm_floats;
mod memory;
mod norm;
mod pools;
mod tally;
mod terms;
mod update;

use fixgrad::{
    config::LayerConfig,
    graph::{Facts, LayerPlan},
    kernel::Scalar,
    optim::Lr,
    quant::Quant,
    rng::Key,
    strategy::{Place, Strategy},
    trainer::{LayerMemory, Tally, Tensor, Trainer},
};

use self::{forward::Layer, memory::Stored, terms::Term};
use crate::{
    coverage::Coverage,
    layers::trains,
    net::{Case, LAYERS, STEPS},
    recorder::{Number, Recorder},
    reference::{Expected, assert_codes, assert_sums, assert_unit},
    run::Memory,
};

/// Trains a case for a few steps and checks each of them.
///
/// # Panics
///
/// Where a number is not what the reference says.
pub fn check(case: &Case, coverage: &Coverage) {
    let seen = Recorder::default();
    let plan = Trainer::<LAYERS, Scalar, Recorder>::plan_for(&case.graph, &case.config, &seen, 0)
        .expect("a valid case");
    let mut memory = Memory::for_plan(&plan);
    let memory = memory.as_mut_slice();
    let mut trainer = Trainer::new(&case.graph, &case.config, memory, Scalar, seen.clone())
        .expect("a valid case");
    let lean = Trainer::<LAYERS, Scalar, ()>::plan_for(&case.graph, &case.config, &(), 0);
    let mut plain = Memory::for_plan(&lean.expect("as well"));
    let mut plain =
        Trainer::new(&case.graph, &case.config, plain.as_mut_slice(), Scalar, ()).expect("as well");
    // What a strategy records is not.
    let again = plain.plan().layers().iter().any(|layer| layer.left.is_recomputed());
    coverage.note_if(again, "an activation that is made again");
    let view = case.graph.view();
    let terms: Vec<_> = (0..view.layers().len()).map(|i| terms::of(view, i)).collect();
    let batch = usize::from(case.config.train.batch);
    let mut before = Stored::read(&plan, trainer.persistent());
    let mut units = vec![[0; 2]; plan.layers().len()];
    for index in 0..STEPS {
        let bounds = trainer.states().map(|state| {
            [Tensor::Velocity, Tensor::BiasVelocity].map(|tensor| state.range(tensor).bound())
        });
        let bounds: Vec<_> = bounds.collect();
        seen.clear();
        let from = index * batch;
        let (samples, targets) = (case.samples(from, batch), case.targets(from, batch));
        let record = trainer.step(samples, targets).expect("a step");
        let plain_record = plain.step(samples, targets).expect("a step");
        assert_eq!(record, plain_record, "step {index} without a strategy");
        assert_eq!(left_by(&trainer), left_by(&plain), "step {index} without a strategy");
        let after = Stored::read(&plan, trainer.persistent());
        let mut step = Step {
            case,
            coverage,
            index,
            lr: record.lr,
            tally: record.tally,
            seen: &seen,
            plans: plan.layers(),
            terms: &terms,
            before,
            after,
            old_units: units.clone(),
            new_units: units,
        };
        step.find_velocity_units(&bounds);
        step.check();
        (before, units) = (step.after, step.new_units);
    }
}

/// All that decides the next step.
fn left_by<'t, S: Strategy>(
    trainer: &'t Trainer<'_, LAYERS, Scalar, S>,
) -> (&'t [u8], Vec<LayerMemory>) {
    (trainer.persistent(), trainer.states().map(|state| state.memory()).collect())
}

/// One recorded step.
struct Step<'c> {
    case: &'c Case,
    coverage: &'c Coverage,
    index: usize,
    lr: Lr,
    tally: Tally,
    seen: &'c Recorder,
    plans: &'c [LayerPlan],
    /// Of one sample, layer by layer.
    terms: &'c [Vec<Term>],
    before: Stored,
    after: Stored,
    /// Exponents of the velocities of weights and biases, before and after.
    old_units: Vec<[i16; 2]>,
    new_units: Vec<[i16; 2]>,
}

/// What a point made of its sums.
struct Quantised {
    codes: Vec<Number>,
    /// Where the rounded value lay outside the codes.
    clipped: Vec<bool>,
}

impl Step<'_> {
    fn check(&self) {
        let layers = self.case.graph.view().layers();
        let mut below: Vec<Layer> = Vec::new();
        for i in 0..layers.len() {
            below.push(self.forward(i, &below));
        }
        let view = self.case.graph.view();
        let outputs = &below.last().expect("a layer").outputs;
        self.assert_tally(outputs);
        let mut arriving: Vec<Vec<Vec<Expected>>> = vec![Vec::new(); layers.len()];
        arriving[layers.len() - 1].push(self.loss(outputs));
        let configs = &self.case.config.layers;
        for i in (1..layers.len()).rev().filter(|&i| trains(view, configs, i)) {
            let grad = self.backward(i, self.arrived(i, &arriving[i]), &below[i]);
            self.note_features(i, &grad);
            if let Some((past, gates)) = &below[i].time {
                gates.get_or_init(|| self.back_through_time(i, past, &grad));
            }
            let inputs = self.inputs(i);
            if self.facts(i).weights() > 0 {
                self.update(i, &grad, &below[inputs[0]].outputs, &below[i]);
            }
            match self.shares(i, &grad) {
                Some(shares) if inputs[0] != inputs[1] => {
                    inputs.iter().zip(shares).for_each(|(&to, share)| arriving[to].push(share));
                }
                Some([share, _]) => arriving[inputs[0]].push(share),
                None => arriving[inputs[0]].push(self.downwards(i, grad, &below[i])),
            }
        }
    }

    fn config(&self, layer: usize) -> &LayerConfig {
        &self.case.config.layers[layer]
    }

    fn facts(&self, layer: usize) -> Facts {
        self.case.graph.view().facts(layer).expect("a layer of the graph")
    }

    /// Numbers in an output and in an input.
    fn shape(&self, layer: usize) -> (usize, usize) {
        let view = self.case.graph.view();
        (view.layers()[layer].shape.elements(), view.input_shape(layer).elements())
    }

    /// What a recorder saw of a tensor on one side of its point.
    fn recorded(&self, layer: usize, tensor: Tensor, codes: bool) -> Vec<Number> {
        let (place, bias) = match tensor {
            Tensor::Weight => (Place::Weight, false),
            Tensor::Bias => (Place::Weight, true),
            Tensor::WeightGrad => (Place::WeightGrad, false),
            Tensor::BiasGrad => (Place::WeightGrad, true),
            Tensor::ActivationGrad => (Place::ActivationGrad, false),
            _ => (Place::Activation, false),
        };
        self.seen.tensor(layer, place, bias, codes)
    }

    /// The random numbers of a tensor, by the table in docs/numerics.md.
    fn key(&self, layer: usize, tensor: Tensor, stream: u32) -> Key {
        let tensor = match tensor {
            Tensor::Weight => 0,
            Tensor::Bias => 1,
            Tensor::WeightGrad => 2,
            Tensor::BiasGrad => 3,
            Tensor::Activation => 4,
            Tensor::ActivationGrad => 5,
            Tensor::Velocity => 6,
            Tensor::BiasVelocity => 7,
        };
        let step = Key::new(self.case.config.train.seed).child(self.index as u32);
        step.child((layer as u32) << 16 | stream | tensor)
    }

    /// The codes of a tensor, once they and their sums are found right.
    fn quantised(
        &self,
        layer: usize,
        tensor: Tensor,
        quant: Quant,
        expected: &[Expected],
    ) -> Quantised {
        self.quantised_from(0, layer, tensor, quant, expected)
    }

    /// As [`quantised`](Self::quantised), of a tensor whose numbers before number `first` stay away.
    fn quantised_from(
        &self,
        first: usize,
        layer: usize,
        tensor: Tensor,
        quant: Quant,
        expected: &[Expected],
    ) -> Quantised {
        let what = format!("step {}, {tensor:?} of layer {layer}", self.index);
        let recorded = |codes| self.recorded(layer, tensor, codes).split_off(first);
        let (sums, codes) = (recorded(false), recorded(true));
        assert_sums(&sums, expected, &what);
        if tensor != Tensor::Weight || !self.config(layer).per_channel {
            assert_unit(&sums, &codes, quant, &what);
        }
        let key = self.key(layer, tensor, 0);
        let clipped = assert_codes(&sums, &codes, quant, key, first, &what);
        self.coverage.note_point(&format!("{tensor:?}"), &sums, &codes, &clipped, quant);
        Quantised { codes, clipped }
    }

    /// Largest error of sums of a layer from which the plan drops so many bits, in their units.
    fn dropped(&self, layer: usize, drop: u8, what: &str) -> f64 {
        let kind = self.case.graph.view().layers()[layer].kind.word();
        self.coverage.note_if(drop > 0, format!("dropped bits {what} of {kind}"));
        if drop > 0 { 1.0 } else { 0.0 }
    }
}
