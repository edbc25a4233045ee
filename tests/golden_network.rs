//! A two-layer network of nics_fix_pytorch 0.4.0, forward and backward, all four points: the
//! trainer gives the same numbers.
//!
//! The file holds float inputs, float weights, and the gradient of the outputs. A strategy puts
//! them into the sums before their points; from there on the trainer works as always. (The port's
//! code at `2^N` does not occur in these cases. It quantises the gradient of the input too; the
//! trainer makes none, because nothing below the input learns.)

use std::collections::BTreeMap;

use fixgrad::{
    config::{Config, LayerConfig, Train},
    graph::Graph,
    kernel::Scalar,
    optim::Lr,
    quant::{Point, Quant, jam},
    strategy::{Context, Place, Strategy, Tile},
    trainer::{SampleData, Samples, Targets, Trainer},
};
use fixgrad_tests::{
    golden::{self, Float},
    recorder::Recorder,
    run::Memory,
};
use serde::Deserialize;

#[derive(Deserialize)]
struct File {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    bits: u8,
    grad_bits: u8,
    #[serde(flatten)]
    rest: BTreeMap<String, Entry>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Entry {
    Tensor(Vec<Float>),
    Note(serde::de::IgnoredAny),
}

impl Case {
    fn tensor(&self, name: &str) -> &[Float] {
        match self.rest.get(name) {
            Some(Entry::Tensor(numbers)) => numbers,
            Some(Entry::Note(_)) | None => panic!("{name} is no tensor"),
        }
    }
}

/// The two dense layers' places in the graph.
const FIRST: u8 = 1;
const SECOND: u8 = 3;

/// Puts the floats of a case into the trainer.
struct Inject<'c>(&'c Case);

impl Inject<'_> {
    /// `numbers * 2^scale` as mantissas of one unit, 2^30 units for the largest; what lies below
    /// is jammed, far below any code.
    fn put(&self, tile: &mut Tile<'_>, name: &str, scale: i16) {
        let numbers = self.0.tensor(name);
        assert_eq!(tile.values.len(), numbers.len(), "{name} comes in one piece");
        let peak = numbers.iter().fold(0f32, |peak, x| peak.max(x.0.abs()));
        let unit = peak.log2().ceil() as i32 - 30;
        for (value, number) in tile.values.iter_mut().zip(numbers) {
            // 2^53 holds every binary32 of these files exactly.
            let fine = f64::from(number.0) * f64::from(20 - unit).exp2();
            *value = jam(fine as i64, 20) as i32;
        }
        tile.exponent = unit as i16 + scale;
    }
}

impl Strategy for Inject<'_> {
    fn pre_weight(&mut self, context: &Context, tile: &mut Tile<'_>) {
        let name = match (context.layer, context.bias) {
            (FIRST, false) => "w1",
            (FIRST, true) => "b1",
            (_, false) => "w2",
            (_, true) => "b2",
        };
        self.put(tile, name, 0);
    }
    fn pre_activation(&mut self, context: &Context, tile: &mut Tile<'_>) {
        if context.layer == 0 {
            self.put(tile, "x", 0);
        }
    }
    fn pre_activation_grad(&mut self, context: &Context, tile: &mut Tile<'_>) {
        if context.layer == SECOND {
            // The loss is sum(y * r) / 4.
            self.put(tile, "r", -2);
        }
    }
}

#[test]
fn a_step_equals_forward_and_backward_of_the_port() {
    let file: File = golden::read("nfp_0.4.0_layer.json");
    let widths: Vec<_> = file.cases.iter().map(|case| (case.bits, case.grad_bits)).collect();
    assert_eq!(widths, [(4, 4), (8, 8), (8, 16)]);
    for case in &file.cases {
        let seen = step(case);
        for (name, layer, place, bias) in [
            ("y0", 0, Place::Activation, false),
            ("q_w1", FIRST, Place::Weight, false),
            ("q_b1", FIRST, Place::Weight, true),
            ("y1", FIRST, Place::Activation, false),
            ("q_w2", SECOND, Place::Weight, false),
            ("q_b2", SECOND, Place::Weight, true),
            ("y", SECOND, Place::Activation, false),
            ("g_w2", SECOND, Place::WeightGrad, false),
            ("g_b2", SECOND, Place::WeightGrad, true),
            ("g_w1", FIRST, Place::WeightGrad, false),
            ("g_b1", FIRST, Place::WeightGrad, true),
        ] {
            let codes = seen.tensor(layer.into(), place, bias, true);
            let ours: Vec<f64> = codes.iter().map(|code| code.value()).collect();
            let theirs: Vec<f64> = case.tensor(name).iter().map(|x| x.0.into()).collect();
            assert_eq!(ours, theirs, "{name} at {} and {} bits", case.bits, case.grad_bits);
        }
    }
}

fn step(case: &Case) -> Recorder {
    let graph: Graph<4> = Graph::input([6, 1, 1]).dense("linear1", 5).relu().dense("linear2", 3);
    let (data, grad) = (Quant::new(case.bits), Quant::new(case.grad_bits));
    let layer = LayerConfig {
        weight: Point::new(data),
        bias: Point::new(data),
        activation: Some(Point::new(data)),
        weight_grad: grad,
        bias_grad: grad,
        activation_grad: Some(grad),
        ..LayerConfig::new(8)
    };
    let config = Config::uniform(graph.view(), layer, Train::new(4, Lr::ratio(1, 2)));
    let mut memory = Memory::bytes(10_000);
    let seen = Recorder::default();
    let hooks = (Inject(case), seen.clone());
    let mut trainer =
        Trainer::new(&graph, &config, memory.as_mut_slice(), Scalar, hooks).expect("a trainer");
    let samples = Samples { data: SampleData::I8(&[0; 24]), exponent: 0 };
    trainer.step(samples, Targets::Classes(&[0; 4])).expect("a step");
    seen
}
