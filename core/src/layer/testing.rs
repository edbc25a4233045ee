//! Layers alone, over small tensors that a reader can check: one sample or a few, bytes, the plain
//! kernel.

use std::{vec, vec::Vec};

use super::{Average, Facts, Forward, InputGrad, Kind, Operator, WeightGrad};
use crate::{
    kernel::Scalar,
    tensor::{Mantissas, MantissasMut, Shape},
    uses::Everything,
};

/// A layer over inputs of one shape.
pub(super) struct Bench<L> {
    layer: L,
    from: Shape,
    pub(super) facts: Facts,
    pub(super) average: Average,
    pub(super) memo: Vec<i8>,
}

impl<L: Operator + Into<Kind>> Bench<L> {
    pub(super) fn new(layer: L, from: [u16; 3]) -> Self {
        let from = Shape(from);
        let facts = layer.into().facts(from).unwrap();
        Self { layer, from, facts, average: Average::NONE, memo: Vec::new() }
    }

    /// All sums of the output.
    pub(super) fn forward(&mut self, x: &[i8], weight: &[i8]) -> Vec<i32> {
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
            weight: Mantissas::I8(weight),
            drop: 0,
            rows: 0..sums.len() / channels.max(1),
            sums: &mut sums,
            average: self.average,
            memo: &mut self.memo,
            room: MantissasMut::I8(&mut vec![0; 2 * self.facts.patch]),
        });
        assert_eq!(sums.len(), samples * channels * height * width);
        sums
    }

    /// The gradient by the whole input, of what came [`forward`](Self::forward).
    pub(super) fn input_grad(&self, grad: &[i8], weight: &[i8]) -> Vec<i32> {
        let samples = grad.len() / self.facts.shape.elements();
        let mut sums = vec![77; samples * self.from.elements()];
        self.layer.input_grad::<_, Everything>(InputGrad {
            kernel: &Scalar,
            from: self.from,
            depth: self.facts.weights[1],
            samples,
            grad: Mantissas::I8(grad),
            weight: Mantissas::I8(weight),
            drop: 0,
            first: 0,
            sums: &mut sums,
            average: self.average,
            memo: &self.memo,
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
