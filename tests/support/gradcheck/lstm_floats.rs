//! An LSTM of integers against one of 64-bit floats, by finite differences: the cells of the literature and
//! nothing else. With 16 bits, only the bytes that are kept of gates tell them apart.

use fixgrad::{
    config::LayerConfig,
    graph::{Graph, Lstm, Returns},
    kernel::Scalar,
    optim::Lr,
    strategy::Place,
    trainer::Trainer,
};

use crate::{net::noise, recorder::Recorder, run::Memory};

const FEATURES: usize = 3;
const STEPS: usize = 7;
const UNITS: usize = 4;
const BATCH: usize = 5;

/// Weights, then biases.
struct Floats {
    weights: Vec<f64>,
    biases: Vec<f64>,
}

type States = [[f64; UNITS]; 2];

impl Floats {
    fn step(&self, x: &[f64], [h, c]: States) -> States {
        let z = |row: usize| {
            let row_of = &self.weights[row * (FEATURES + UNITS)..][..FEATURES + UNITS];
            let products = row_of.iter().zip(x.iter().chain(&h)).map(|(w, x)| w * x);
            products.sum::<f64>() + self.biases[row]
        };
        let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
        let mut next: States = [[0.0; UNITS]; 2];
        for u in 0..UNITS {
            let [i, f, g, o] = [0, 1, 2, 3].map(|gate| z(gate * UNITS + u));
            next[1][u] = sigmoid(f) * c[u] + sigmoid(i) * g.tanh();
            next[0][u] = sigmoid(o) * next[1][u].tanh();
        }
        next
    }

    /// States before every step of a sample, and after the last one.
    fn states(&self, x: &[f64]) -> Vec<States> {
        let mut states = vec![States::default()];
        for x in x.chunks_exact(FEATURES) {
            states.push(self.step(x, states[states.len() - 1]));
        }
        states
    }

    /// The sum of outputs times gradients, where pieces of so many steps, counted from the end, begin with
    /// the states that they are given.
    fn loss(&self, x: &[f64], grads: &[f64], lstm: Lstm, starts: &[States]) -> f64 {
        let piece = if lstm.truncate == 0 { STEPS } else { lstm.truncate.into() };
        let (mut states, mut loss) = (States::default(), 0.0);
        for (step, x) in x.chunks_exact(FEATURES).enumerate() {
            if (STEPS - step).is_multiple_of(piece) {
                states = starts[step];
            }
            states = self.step(x, states);
            let grads = match lstm.returns {
                Returns::Sequence => &grads[step * UNITS..][..UNITS],
                Returns::Last if step + 1 == STEPS => grads,
                Returns::Last => &[],
            };
            loss += grads.iter().zip(states[0]).map(|(g, h)| g * h).sum::<f64>();
        }
        loss
    }
}

/// Outputs and gradients of one step.
///
/// # Panics
///
/// Where they are far from those of floats.
pub fn check(lstm: Lstm) {
    let lstm = Lstm { units: UNITS as u16, ..lstm };
    let graph = Graph::input([FEATURES as u16, 1, STEPS as u16]).lstm("lstm", lstm).dense("fc", 10);
    let mut case = noise(graph, LayerConfig::new(16), BATCH as u16);
    // The same step twice: in the second one, the bound of the gates' gradients is known.
    case.config.train.lr = Lr::ratio(1, 1 << 20);
    let seen = Recorder::default();
    let plan = Trainer::<8, Scalar, Recorder>::plan_for(&graph, &case.config, &seen, 0)
        .expect("a valid case");
    let mut memory = Memory::for_plan(&plan);
    let memory = memory.as_mut_slice();
    let mut trainer =
        Trainer::new(&graph, &case.config, memory, Scalar, seen.clone()).expect("a valid case");
    for _ in 0..2 {
        seen.clear();
        trainer.step(case.samples(0, BATCH), case.targets(0, BATCH)).expect("a step");
    }
    let tensor = |layer, place, bias, codes| -> Vec<f64> {
        seen.tensor(layer, place, bias, codes).iter().map(|number| number.value()).collect()
    };
    let samples = tensor(0, Place::Activation, false, true);
    let mut floats = Floats {
        weights: tensor(1, Place::Weight, false, true),
        biases: tensor(1, Place::Weight, true, true),
    };
    let outputs = tensor(1, Place::Activation, false, false);
    let grads = tensor(1, Place::ActivationGrad, false, true);
    let each = grads.len() / BATCH;
    let samples: Vec<&[f64]> = samples.chunks_exact(FEATURES * STEPS).collect();
    let starts: Vec<Vec<States>> = samples.iter().map(|x| floats.states(x)).collect();
    let hidden = starts.iter().flat_map(|states| match lstm.returns {
        Returns::Sequence => states[1..].to_vec(),
        Returns::Last => states[STEPS..].to_vec(),
    });
    for (found, exact) in outputs.iter().zip(hidden.flat_map(|[h, _]| h)) {
        assert!((found - exact).abs() < 2e-3, "{found} and not {exact} of {lstm:?}");
    }
    let loss = |floats: &Floats| -> f64 {
        let all = samples.iter().zip(grads.chunks_exact(each)).zip(&starts);
        all.map(|((x, grads), starts)| floats.loss(x, grads, lstm, starts)).sum()
    };
    for bias in [false, true] {
        let found = tensor(1, Place::WeightGrad, bias, false);
        let largest = found.iter().fold(0.0, |largest: f64, g| largest.max(g.abs()));
        for (i, found) in found.iter().enumerate() {
            let mut moved = |by: f64| {
                let place = if bias { &mut floats.biases[i] } else { &mut floats.weights[i] };
                *place += by;
                let loss = loss(&floats);
                let place = if bias { &mut floats.biases[i] } else { &mut floats.weights[i] };
                *place -= by;
                loss
            };
            let exact = (moved(1e-4) - moved(-1e-4)) / 2e-4;
            let error = (found - exact).abs() / largest;
            assert!(error < 0.03, "element {i}: {found} and not {exact} of {lstm:?}");
        }
    }
}
