//! Layers alone, over small tensors that a reader can check: one sample or a few, bytes, the plain
//! kernel.

use std::{vec, vec::Vec};

use super::{Average, Draws, Facts, Forward, InputGrad, Kind, Operator, WeightGrad};
use crate::{
    kernel::Scalar,
    rng::Key,
    tensor::{Mantissas, MantissasMut, Shape},
    uses::Everything,
};

const DRAWS: Draws = Draws { key: Key::new(1), first: 0 };

/// A layer over inputs of one shape.
pub(super) struct Bench<L> {
    layer: L,
    from: Shape,
    other: Shape,
    /// How far the numbers of two inputs go to the left.
    pub(super) left: [i32; 2],
    pub(super) facts: Facts,
    pub(super) average: Average,
    /// A ReLU is right below.
    pub(super) gated: bool,
    pub(super) memo: Vec<i8>,
}

impl<L: Operator + Into<Kind>> Bench<L> {
    pub(super) fn new(layer: L, from: [u16; 3]) -> Self {
        Self::joining(layer, from, from)
    }

    /// A layer with two inputs.
    pub(super) fn joining(layer: L, from: [u16; 3], other: [u16; 3]) -> Self {
        let (from, other) = (Shape(from), Shape(other));
        let facts = layer.into().facts(from, other).unwrap();
        let average = Average::NONE;
        Self { layer, from, other, left: [0; 2], facts, average, gated: false, memo: Vec::new() }
    }

    /// All sums of the output.
    pub(super) fn forward(&mut self, x: &[i8], weight: &[i8]) -> Vec<i32> {
        self.sums(x, &[], weight)
    }

    /// All sums of the output of a layer with two inputs.
    pub(super) fn forward_both(&mut self, x: &[i8], other: &[i8]) -> Vec<i32> {
        self.sums(x, other, &[])
    }

    fn sums(&mut self, x: &[i8], other: &[i8], weight: &[i8]) -> Vec<i32> {
        let samples = x.len() / self.from.elements();
        let [channels, height, width] = self.facts.shape.0.map(usize::from);
        let mut sums = vec![77; samples * self.facts.shape.elements()];
        self.memo = vec![77; sums.len() * self.facts.memo];
        self.layer.forward::<_, Everything>(Forward {
            kernel: &Scalar,
            from: self.from,
            depth: self.facts.weights[1],
            samples,
            x: Mantissas::I8(x),
            exponent: 0,
            other: Mantissas::I8(other),
            left: self.left,
            weight: Mantissas::I8(weight),
            drop: 0,
            rows: 0..sums.len() / channels.max(1),
            sums: &mut sums,
            average: self.average,
            gated: self.gated,
            memo: &mut self.memo,
            draws: Some(DRAWS),
            room: MantissasMut::I8(&mut vec![0; 2 * self.facts.patch]),
        });
        assert_eq!(sums.len(), samples * channels * height * width);
        sums
    }

    /// The gradient by the whole input, of what came [`forward`](Self::forward).
    pub(super) fn input_grad(&self, grad: &[i8], weight: &[i8]) -> Vec<i32> {
        self.grad(grad, weight, false)
    }

    /// The gradient by the whole second input.
    pub(super) fn second_grad(&self, grad: &[i8]) -> Vec<i32> {
        self.grad(grad, &[], true)
    }

    fn grad(&self, grad: &[i8], weight: &[i8], second: bool) -> Vec<i32> {
        let samples = grad.len() / self.facts.shape.elements();
        let by = if second { self.other } else { self.from };
        let mut sums = vec![77; samples * by.elements()];
        self.layer.input_grad::<_, Everything>(InputGrad {
            kernel: &Scalar,
            from: self.from,
            depth: self.facts.weights[1],
            samples,
            channels: self.facts.shape.0[0].into(),
            second,
            pixel: by.0[0].into(),
            grad: Mantissas::I8(grad),
            x: Mantissas::I8(&[]),
            weight: Mantissas::I8(weight),
            drop: 0,
            first: 0,
            sums: &mut sums,
            average: self.average,
            memo: &self.memo,
            draws: DRAWS,
            room: MantissasMut::I8(&mut vec![0; 2 * self.facts.patch]),
        });
        sums
    }

    /// The gradient by the whole weight.
    pub(super) fn weight_grad(&self, grad: &[i8], x: &[i8]) -> Vec<i32> {
        let [units, depth] = self.facts.weights;
        let mut sums = vec![77; units * depth];
        self.layer.weight_grad::<_, Everything>(WeightGrad {
            kernel: &Scalar,
            from: self.from,
            depth,
            samples: x.len() / self.from.elements(),
            grad: Mantissas::I8(grad),
            x: Mantissas::I8(x),
            drop: 0,
            units: 0..units,
            cols: 0..depth,
            add: false,
            sums: &mut sums,
            room: MantissasMut::I8(&mut vec![0; 2 * self.facts.patch]),
        });
        sums
    }
}
