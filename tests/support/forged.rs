//! Layers that nobody would build, as a damaged file may hold them.

use fixgrad::{
    graph::{
        Add, AvgPool2d, Concat, Conv2d, Dense, Dropout, Flatten, GlobalAvgPool, Hardsigmoid,
        Hardtanh, Input, Kind, Layer, LeakyRelu, MaxPool2d, Name, Padding, Relu6, Sigmoid, Split,
        Tanh,
    },
    tensor::Shape,
};

use crate::mutate::Mutator;

/// An input of any shape and a layer with any numbers, most of them extremes, mostly with the shape
/// that it has.
pub fn forged(draw: &mut Mutator) -> Vec<Layer> {
    const SIDES: [u16; 12] = [0, 1, 1, 1, 2, 3, 5, 255, 256, 257, 65_534, 65_535];
    const SIZES: [u8; 12] = [0, 1, 1, 1, 2, 2, 3, 15, 16, 17, 254, 255];
    let side = |draw: &mut Mutator| SIDES[draw.below(SIDES.len())];
    let pair = |draw: &mut Mutator| [0; 2].map(|_: u8| SIZES[draw.below(SIZES.len())]);
    let (from, stated) = ([0; 3].map(|_: u16| side(draw)), [0; 3].map(|_: u16| side(draw)));
    let (kernel, stride) = (pair(draw), pair(draw));
    let padding = [Padding::Valid, Padding::Same, Padding::Explicit(pair(draw))][draw.below(3)];
    let (channels, groups, bias) = (side(draw), side(draw), draw.below(2) == 0);
    let kind = match draw.below(14) {
        0 => Dense { units: channels, bias }.into(),
        1 => Flatten.into(),
        2 => MaxPool2d { kernel, stride, padding }.into(),
        3 => AvgPool2d { kernel, stride, padding }.into(),
        4 => GlobalAvgPool.into(),
        5 => Add.into(),
        6 => Concat.into(),
        10 => Hardtanh { low: side(draw) as i8, high: side(draw) as i8 }.into(),
        11 => LeakyRelu { shift: side(draw) as u8 }.into(),
        12 => Dropout { p: side(draw) }.into(),
        13 => [Kind::from(Sigmoid), Tanh.into(), Hardsigmoid.into(), Relu6.into()][draw.below(4)],
        7 => Split { first: side(draw) >> draw.below(16), channels }.into(),
        _ => Conv2d { channels, kernel, stride, padding, groups, bias }.into(),
    };
    let from = Shape(from);
    let shape = match Kind::facts(kind, from, from) {
        Ok(facts) if draw.below(8) > 0 => facts.shape,
        _ => Shape(stated),
    };
    let name = |name| Name::new(name).expect("a name");
    let mut layers =
        vec![Layer { name: name("data"), kind: Input.into(), input: 0, other: 0, shape: from }];
    if draw.below(2) == 0 {
        // Something that wants a gradient.
        let [channels, ..] = from.0;
        let kind = Conv2d::new(channels, 1).groups(channels).into();
        layers.push(Layer { name: name("conv"), kind, input: 0, other: 0, shape: from });
    }
    // Most read what they should; some read one that nobody made, or one too many.
    let last = layers.len() as u8 - 1;
    let (input, other) = match draw.below(4) {
        0 => (draw.below(4) as u8, draw.below(4) as u8),
        _ if kind.joins() => (last, 0),
        _ => (last, last),
    };
    layers.push(Layer { name: name("forged"), kind, input, other, shape });
    layers
}
