//! Who reads whom: what follows from the inputs of layers when networks are more than a chain.

use super::{
    transients::{Life, Lives},
    view::GraphView,
};
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

    /// True when a gradient reaches the output of layer `i`: it or a layer that leads to it has
    /// parameters.
    pub(crate) const fn trains(self, i: usize) -> bool {
        // Bit by bit, the layers that lead to it.
        let mut wanted = [0u64; 4];
        wanted[i / 64] = 1 << (i % 64);
        let mut k = i + 1;
        while k > 0 {
            k -= 1;
            if wanted[k / 64] >> (k % 64) & 1 == 1 {
                if self.layer_parameters(k).0 > 0 {
                    return true;
                }
                let [a, b] = self.layers()[k].inputs();
                wanted[a / 64] |= 1 << (a % 64);
                wanted[b / 64] |= 1 << (b % 64);
            }
        }
        false
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

    /// Tiles of sums that the gradient of layer `i` needs at once: its own, and one for what another
    /// reader adds.
    pub(super) const fn tiles(self, i: usize) -> usize {
        if self.readers(self.last_in_place(i)) > 1 { 2 } else { 1 }
    }

    /// The first layer that reads the output of layer `of` and gets a gradient.
    const fn first_trained(self, of: usize) -> usize {
        let mut i = of + 1;
        while i < self.layers().len() && !(self.reads(i, of) && self.trains(i)) {
            i += 1;
        }
        i
    }

    /// When the gradient of layer `i` has gone to all that it reads, and its weights may move: with
    /// that of the first reader of each.
    pub(super) const fn back(self, i: usize) -> u16 {
        let [a, b] = self.layers()[i].inputs();
        let (a, b) = (self.first_trained(a), self.first_trained(b));
        2 * self.layers().len() as u16 - if a < b { a } else { b } as u16
    }

    /// When the tensors of layer `i` live that do not live for ever: activation, its mask, gradient,
    /// aligned gradient, and what the layer keeps for itself.
    pub const fn lives(self, i: usize) -> Lives {
        let n = self.layers().len();
        let reader = self.first_reader(self.last_in_place(i));
        let (here, end) = (i as u16, 2 * n as u16);
        let read = if reader < n { end - reader as u16 } else { n as u16 };
        let back = self.back(i);
        // What changes numbers asks its output which gradients pass.
        let made: Life = (here, if self.copies(i) && back > read { back } else { read });
        [made, (here, end - here), (read, back), (back, back), (here, back)]
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
        layer::{Conv2d, Kind, Relu},
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
    fn tensors_live_until_the_first_of_their_readers_ran_backward() {
        let view = RESIDUAL.view();
        assert_eq!(
            [1, 2, 5].map(|i| (view.readers(i), view.first_reader(i))),
            [(1, 2), (2, 3), (1, 6)]
        );
        assert_eq!((view.first_reader(8), view.unread()), (9, None));
        // What both branches read: until conv1 ran backward.
        assert_eq!(view.lives(1)[0], (1, 18 - 3));
        // The gradient of the sum: from the dense layer on, until conv1 brings all that the stem gets.
        assert_eq!(view.lives(6)[2], (18 - 8, 18 - 3));
        assert_eq!(view.lives(5)[2], (18 - 6, 18 - 5));
        assert_eq!(view.lives(8)[..3], [(8, 9), (8, 10), (9, 10)]);
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
    fn gradients_reach_what_leads_to_weights() {
        let graph: Graph<6> = Graph::input([1, 2, 2])
            .layer("relu", Kind::Relu(Relu))
            .conv2d("conv", Conv2d::new(1, 1))
            .from_layer("relu")
            .avg_pool(1)
            .add("conv")
            .dense("fc", 2);
        let view = graph.view();
        assert_eq!(
            [0, 1, 2, 3, 4, 5].map(|i| view.trains(i)),
            [false, false, true, false, true, true]
        );
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
