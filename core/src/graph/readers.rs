//! Who reads whom: what follows from the inputs of layers when networks are more than a chain.

use super::view::GraphView;
use crate::layer::Output;

impl GraphView<'_> {
    /// True when layer `i` reads the output of layer `of`.
    pub(super) const fn reads(self, i: usize, of: usize) -> bool {
        let layer = self.layers()[i];
        of < i && (layer.input as usize == of || layer.other as usize == of)
    }

    /// How many layers read the output of layer `of`.
    pub const fn readers(self, of: usize) -> usize {
        let (mut count, mut i) = (0, of + 1);
        while i < self.layers().len() {
            if self.reads(i, of) {
                count += 1;
            }
            i += 1;
        }
        count
    }

    /// The first layer that reads the output of layer `of`; the number of layers where none does.
    pub const fn first_reader(self, of: usize) -> usize {
        let mut i = of + 1;
        while i < self.layers().len() && !self.reads(i, of) {
            i += 1;
        }
        i
    }

    /// A layer whose output goes nowhere, if there is one.
    pub(super) const fn unread(self) -> Option<usize> {
        let mut i = 0;
        while i + 1 < self.layers().len() {
            if self.first_reader(i) == self.layers().len() {
                return Some(i);
            }
            i += 1;
        }
        None
    }

    /// The last of the layers that change the output of layer `i` in its place.
    pub(super) const fn last_in_place(self, i: usize) -> usize {
        let (mut last, mut k) = (i, i + 1);
        while k < self.layers().len() {
            if self.layers()[k].input as usize == last && self.is_in_place(k) {
                last = k;
            }
            k += 1;
        }
        last
    }

    /// True when the output of layer `i` is the input, changed in its place.
    pub(super) const fn is_in_place(self, i: usize) -> bool {
        match self.facts(i) {
            Some(facts) => matches!(facts.output, Output::InPlace),
            None => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Graph, Plan, Sizes};
    use crate::{
        config::{LayerConfig, Train},
        layer::Conv2d,
        optim::Lr,
    };

    /// data0, stem1, relu2, (conv3, relu4, conv5), add6, relu7, fc8.
    const RESIDUAL: Graph<9> = Graph::input([1, 4, 4])
        .conv2d("stem", Conv2d::new(2, 1))
        .relu()
        .conv2d("conv1", Conv2d::new(2, 1))
        .relu()
        .conv2d("conv2", Conv2d::new(2, 1))
        .add("relu2")
        .relu()
        .dense("fc", 3);

    #[test]
    fn readers_are_counted_and_found() {
        let view = RESIDUAL.view();
        assert_eq!(
            [1, 2, 5].map(|i| (view.readers(i), view.first_reader(i))),
            [(1, 2), (2, 3), (1, 6)]
        );
        assert_eq!((view.first_reader(8), view.unread()), (9, None));
    }

    #[test]
    fn what_others_read_too_is_not_changed_in_its_place() {
        let output = |graph: &Graph<9>, i| graph.view().facts(i).unwrap().output;
        let two = Graph::input([2, 1, 1]).dense("fc", 2).relu().add("fc").dense("out", 1);
        assert_eq!(output(&two, 2), super::Output::Codes);
        assert_eq!(output(&two.expect([1, 1, 1]), 3), super::Output::Sums);
        assert_eq!(output(&RESIDUAL, 2), super::Output::InPlace);
    }

    #[test]
    fn a_layer_that_nobody_reads_is_found() {
        let graph: Graph<4> =
            Graph::input([2, 1, 1]).dense("fc", 2).from_layer("data").dense("out", 1);
        assert_eq!(graph.view().unread(), Some(1));
        let settings = [LayerConfig::new(8); 3];
        let sizes = Sizes::of(&Train::new(1, Lr::ZERO));
        assert_eq!(
            Plan::<4>::new(graph.view(), &settings, sizes, &[]).unwrap_err().message().as_str(),
            "layer fc: no layer reads its output; add or concatenate it to another, or remove it"
        );
    }
}
