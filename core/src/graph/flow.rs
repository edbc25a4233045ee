//! Where gradients go, and how long what they need must live: what follows from the parameters that
//! move, which settings say.

use super::{
    life::{Life, Lives},
    view::GraphView,
};
use crate::{
    config::{LayerConfig, Update},
    layer::{Facts, Kind},
};

/// The ways of gradients through a network whose settings say what moves.
#[derive(Clone, Copy, Debug)]
pub struct Flow<'a> {
    graph: GraphView<'a>,
    /// One a layer. Everything moves in a layer that has none.
    settings: &'a [LayerConfig],
    /// The layers whose outputs a gradient reaches, one bit each.
    trained: [u64; 4],
}

impl<'a> GraphView<'a> {
    /// The ways of gradients with these settings, one a layer; without any, all parameters move.
    pub const fn flow(self, settings: &'a [LayerConfig]) -> Flow<'a> {
        let mut flow = Flow { graph: self, settings, trained: [0; 4] };
        let mut i = 0;
        while i < self.layers().len() {
            let [a, b] = self.layers()[i].inputs();
            if flow.moves(i) || flow.trains(a) || flow.trains(b) {
                flow.trained[i / 64] |= 1 << (i % 64);
            }
            i += 1;
        }
        flow
    }

    /// Multiply-adds of one training sample in which all parameters move: see
    /// [`Flow::training_macs`].
    pub const fn training_macs(self) -> usize {
        self.flow(&[]).training_macs()
    }
}

impl<'a> Flow<'a> {
    /// The network.
    pub const fn graph(self) -> GraphView<'a> {
        self.graph
    }

    /// What of layer `i` moves.
    const fn update(self, i: usize) -> Update {
        if i < self.settings.len() { self.settings[i].update } else { Update::All }
    }

    /// Numbers of the weight and of the bias of layer `i` that move: the first and how many.
    pub(super) const fn moving(self, i: usize) -> [(usize, usize); 2] {
        let Some(Facts { weights: [units, depth], biases, .. }) = self.graph.facts(i) else {
            return [(0, 0); 2];
        };
        let (rows, biases) = (self.update(i).rows(units), self.update(i).biases(biases));
        [
            (rows.start * depth, (rows.end - rows.start) * depth),
            (biases.start, biases.end - biases.start),
        ]
    }

    /// Whether weights and biases of layer `i` are read where they are stored.
    pub(crate) const fn stored(self, i: usize) -> [bool; 2] {
        let in_ram = self.graph.is_norm(i) || self.graph.lstm(i).is_some();
        let stored = i < self.settings.len() && self.settings[i].stored && !in_ram;
        let (weights, biases) = self.graph.layer_parameters(i);
        let [(_, moving), (_, moving_biases)] = self.moving(i);
        [stored && weights > 0 && moving == 0, stored && biases > 0 && moving_biases == 0]
    }

    /// True when parameters of layer `i` move.
    pub const fn moves(self, i: usize) -> bool {
        let [weights, biases] = self.moving(i);
        weights.1 + biases.1 > 0
    }

    /// True when a gradient reaches the output of layer `i`: parameters of it or of a layer that leads
    /// to it move.
    pub const fn trains(self, i: usize) -> bool {
        self.trained[i / 64] >> (i % 64) & 1 == 1
    }

    /// Tiles of sums that the gradient of layer `i` needs at once: its own, and one for what another
    /// reader adds.
    pub(super) const fn tiles(self, i: usize) -> usize {
        if self.graph.readers(self.graph.last_in_place(i)) > 1 { 2 } else { 1 }
    }

    /// The first layer that reads the output of layer `of` and gets a gradient; the number of layers
    /// where none does.
    const fn first_trained(self, of: usize) -> usize {
        let mut i = of + 1;
        while i < self.graph.layers().len() && !(self.graph.reads(i, of) && self.trains(i)) {
            i += 1;
        }
        i
    }

    /// When the gradient of layer `i` has gone to all that it reads, and its weights may move: with
    /// that of the first reader of each.
    pub(super) const fn back(self, i: usize) -> u16 {
        let [a, b] = self.graph.layers()[i].inputs();
        let (a, b) = (self.first_trained(a), self.first_trained(b));
        2 * self.graph.layers().len() as u16 - if a < b { a } else { b } as u16
    }

    /// True for a ReLU whose gradient comes from max pools alone, in one piece with what they send down:
    /// none to where it was not positive. And for these pools.
    pub(super) const fn gated(self, i: usize) -> bool {
        let (layers, mut relu) = (self.graph.layers(), i);
        if matches!(layers[i].kind, Kind::MaxPool2d(_)) {
            relu = layers[i].input as usize;
        }
        // What has a point of its own has another gradient, and other codes than the ReLU made.
        let plain = relu >= self.settings.len()
            || self.settings[relu].activation.is_none()
                && self.settings[relu].activation_grad.is_none();
        if !matches!(layers[relu].kind, Kind::Relu(_)) || !self.graph.is_in_place(relu) || !plain {
            return false;
        }
        let (mut pools, mut reader) = (0, relu + 1);
        while reader < layers.len() {
            if self.graph.reads(reader, relu) {
                if !matches!(layers[reader].kind, Kind::MaxPool2d(_)) {
                    return false;
                }
                pools += 1;
            }
            reader += 1;
        }
        pools > 0
    }

    /// The last moment at which the output of layer `i`, or what layers above made of it in its place,
    /// is read.
    const fn last_read(self, i: usize) -> u16 {
        let (n, last) = (self.graph.layers().len(), self.graph.last_in_place(i));
        let (mut reader, mut forward, mut backward) = (last + 1, i, false);
        // The loss reads what nothing else does.
        if self.graph.first_reader(last) == n {
            forward = n;
        }
        while reader < n {
            if self.graph.reads(reader, last) {
                forward = reader;
                let keeps = self.graph.layers()[reader].kind.keeps_input() && self.trains(reader);
                backward = backward || keeps || self.moving(reader)[0].1 > 0;
            }
            reader += 1;
        }
        // What blocks gradients asks its output which of them pass, this layer's own or those above: when
        // they come from the readers, or from a gradient point above that is nobody's but a layer's in its
        // place.
        let back = 2 * n as u16 - self.first_trained(last) as u16;
        let (mut asked, mut latest, mut k) = (back, back, last);
        loop {
            if k < self.settings.len() && self.settings[k].activation_grad.is_some() {
                asked = (2 * n - k) as u16;
            }
            if self.trains(i) && self.graph.layers()[k].kind.blocks() && !self.gated(k) {
                backward = true;
                latest = if asked > latest { asked } else { latest };
            }
            let input = self.graph.layers()[k].input as usize;
            if k == i {
                break;
            }
            k = input;
        }
        if backward && latest > forward as u16 { latest } else { forward as u16 }
    }

    /// When the tensors of layer `i` live that do not live for ever: activation, its mask, gradient,
    /// aligned gradient, and what the layer keeps for itself. Layer `i` runs forward at `i`, the loss at
    /// the number of layers `n`, and layer `i` backward at `2n - i`.
    pub const fn lives(self, i: usize) -> Lives {
        let n = self.graph.layers().len();
        let reader = self.graph.first_reader(self.graph.last_in_place(i));
        let (here, end) = (i as u16, 2 * n as u16);
        let grad = if reader < n { end - reader as u16 } else { n as u16 };
        let (back, read) = (self.back(i), self.last_read(i));
        // A copy that changed numbers asks itself which gradients pass, when they go on.
        let copied = self.graph.copies(i) && self.trains(i) && back > read;
        let made = Life::new(here, if copied { back } else { read });
        let [below, other] = self.graph.layers()[i].inputs();
        let own = self.graph.lstm(i).is_some() && self.trains(i);
        let kept = if own || self.trains(below) || self.trains(other) { back } else { here };
        // The gradients of gates are there before the layer below gets its own.
        let aligned = if own { end - here } else { back };
        [
            made,
            Life::new(here, end - here),
            Life::new(grad, back),
            Life::new(aligned, back),
            Life::new(here, kept),
        ]
    }

    /// First and last of the moments at which the output of layer `i` need not be in memory, because
    /// the layer can make it again: one that normalises looks at its input on the way back anyhow, and
    /// its output is a sum and a product away. None where that gives no memory back, or where a point
    /// above changed the numbers in their place.
    pub(super) const fn gap(self, i: usize) -> Option<(u16, u16)> {
        let (n, last) = (self.graph.layers().len(), self.graph.last_in_place(i));
        if !self.graph.is_norm(i) || !self.trains(i) {
            return None;
        }
        // Its input must be there, and not be made again as well.
        let mut below = self.graph.layers()[i].input as usize;
        while below > 0 && self.graph.is_in_place(below) {
            below = self.graph.layers()[below].input as usize;
        }
        if self.graph.is_norm(below) {
            return None;
        }
        let mut k = last;
        while k != i {
            let settings = if k < self.settings.len() { Some(&self.settings[k]) } else { None };
            if let Some(settings) = settings
                && (settings.activation.is_some() || settings.activation_grad.is_some())
            {
                return None;
            }
            k = self.graph.layers()[k].input as usize;
        }
        let (mut reader, mut highest) = (last + 1, 0);
        while reader < n {
            if self.graph.reads(reader, last) {
                highest = reader;
            }
            reader += 1;
        }
        // Behind a last layer there is the loss alone.
        if highest == 0 || highest + 1 >= n {
            return None;
        }
        let (forward, again) = (highest as u16, (2 * n - highest) as u16);
        if self.last_read(i) < again {
            return None;
        }
        Some((forward + 1, again - 1))
    }

    /// Multiply-adds of one training sample: forward everywhere, by the weights that move, and by the
    /// input where something below moves.
    pub const fn training_macs(self) -> usize {
        let (mut sum, mut i) = (0usize, 0);
        while i < self.graph.layers().len() {
            if let Some(facts) = self.graph.facts(i) {
                let macs = facts.macs();
                let back = macs > 0 && self.trains(self.graph.layers()[i].input as usize);
                let moving = self.moving(i)[0].1 / max_1(facts.weights[1]);
                // As many for every row of the weight.
                let moved = macs / max_1(facts.weights[0]) * moving;
                sum = sum.saturating_add(macs).saturating_add(moved);
                sum = sum.saturating_add(if back { macs } else { 0 });
            }
            i += 1;
        }
        sum
    }
}

const fn max_1(number: usize) -> usize {
    if number == 0 { 1 } else { number }
}

#[cfg(test)]
mod tests {
    use super::super::{Graph, Life};
    use crate::{
        config::{LayerConfig, Update},
        layer::{Conv2d, Kind, LeakyRelu, Relu, Relu6},
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

    /// Settings in which these layers update something else than all.
    fn settings<const N: usize>(updates: [(usize, Update); N]) -> [LayerConfig; 9] {
        let mut settings = RESIDUAL.uniform(&LayerConfig::new(8));
        for (layer, update) in updates {
            settings[layer].update = update;
        }
        settings
    }

    #[test]
    fn tensors_live_until_the_first_of_their_readers_ran_backward() {
        let flow = RESIDUAL.view().flow(&[]);
        // What both branches read: until conv1 ran backward.
        assert_eq!(flow.lives(1)[0], Life::new(1, 18 - 3));
        // The gradient of the sum: from the dense layer on, until conv1 brings all that the stem gets.
        assert_eq!(flow.lives(6)[2], Life::new(18 - 8, 18 - 3));
        assert_eq!(flow.lives(5)[2], Life::new(18 - 6, 18 - 5));
        assert_eq!(
            flow.lives(8)[..3],
            [(8, 9), (8, 10), (9, 10)].map(|(first, last)| Life::new(first, last))
        );
    }

    #[test]
    fn activations_live_for_weights_that_move_and_for_what_blocks_gradients() {
        let still = [1, 3, 5].map(|layer| (layer, Update::Nothing));
        let head = settings(still);
        let flow = RESIDUAL.view().flow(&head);
        assert_eq!([1, 5, 7, 8].map(|i| flow.trains(i)), [false, false, false, true]);
        // Read by conv1 and by the sum, and then no more.
        assert_eq!(flow.lives(1)[0], Life::new(1, 6));
        assert_eq!(flow.lives(4)[0], Life::new(4, 5));
        // The weights of the dense layer.
        assert_eq!(flow.lives(6)[0], Life::new(6, 18 - 8));
        // Biases need what a ReLU changed, and not what a weight was multiplied with.
        let biases = settings([(1, Update::Nothing), (3, Update::Bias), (5, Update::Bias)]);
        let flow = RESIDUAL.view().flow(&biases);
        assert_eq!([1, 2, 3, 5].map(|i| flow.trains(i)), [false, false, true, true]);
        assert_eq!([1, 0].map(|i| flow.lives(i)[0]), [Life::new(1, 6), Life::new(0, 1)]);
        assert_eq!([3, 5].map(|i| flow.lives(i)[0]), [Life::new(3, 18 - 5), Life::new(5, 6)]);
    }

    #[test]
    fn what_blocks_a_gradient_of_its_own_is_there_when_that_goes_on() {
        // data0, conv1, relu2, conv3, fc4.
        let graph: Graph<9> = Graph::input([1, 4, 4])
            .conv2d("conv1", Conv2d::new(2, 1))
            .relu()
            .conv2d("conv2", Conv2d::new(2, 1))
            .dense("fc", 3);
        let mut settings = graph.uniform(&LayerConfig::new(8));
        let life = |settings: &[LayerConfig]| graph.view().flow(&settings[..5]).lives(1)[0];
        assert_eq!(life(&settings), Life::new(1, 10 - 3));
        settings[2].activation_grad = settings[1].activation_grad;
        assert_eq!(life(&settings), Life::new(1, 10 - 2));
    }

    #[test]
    fn what_a_layer_looks_at_once_more_lives_that_long() {
        let graph: Graph<9> =
            Graph::input([1, 4, 4]).conv2d("conv", Conv2d::new(2, 1)).batch_norm().dense("fc", 3);
        // data0, conv1, batch_norm2, fc3: the normalisation has no weight that moves.
        let still = settings([(2, Update::Nothing)]);
        assert_eq!(graph.view().flow(&still).lives(1)[0], Life::new(1, 8 - 2));
        let head = settings([(1, Update::Nothing), (2, Update::Nothing)]);
        assert_eq!(graph.view().flow(&head).lives(1)[0], Life::new(1, 2));
    }

    #[test]
    fn nobody_keeps_what_only_pools_read_above_a_relu() {
        let start = || Graph::<8>::input([1, 4, 4]).conv2d("conv", Conv2d::new(2, 1));
        let lives = |graph: &Graph<8>, settings: &[LayerConfig]| {
            let flow = graph.view().flow(settings);
            let gated: std::vec::Vec<_> =
                (0..graph.view().layers().len()).filter(|&i| flow.gated(i)).collect();
            (gated, flow.lives(1)[0].last)
        };
        // data0, conv1, relu2, pool3, pool4, fc5: the second pool reads no ReLU.
        let chain = start().relu().max_pool(2).max_pool(2).dense("fc", 2);
        assert_eq!(lives(&chain, &[]), (std::vec![2, 3], 3));
        // Two pools may read it, and nothing else.
        let two = start().relu().max_pool(2).from_layer("relu2").max_pool(2);
        let two = two.add("max_pool2d3").dense("fc", 2);
        assert_eq!(lives(&two, &[]), (std::vec![2, 3, 4], 4));
        let other = start().relu().max_pool(2).from_layer("relu2").avg_pool(2);
        let other = other.add("max_pool2d3").dense("fc", 2);
        assert_eq!(lives(&other, &[]), (std::vec![], 14 - 3));
        // One that made a copy has a gradient of its own.
        let copied = start().relu().max_pool(2).from_layer("conv").avg_pool(2);
        let copied = copied.add("max_pool2d3").dense("fc", 2);
        assert_eq!(lives(&copied, &[]), (std::vec![], 4));
        // And so it may have in its place.
        let mut own = [LayerConfig::new(8); 6];
        assert_eq!(lives(&chain, &own), (std::vec![], 12 - 2));
        own[2] = own[2].passing();
        assert_eq!(lives(&chain, &own), (std::vec![2, 3], 3));
        // Other layers that block gradients have other numbers than zero where they do.
        for kind in [Kind::Relu6(Relu6), Kind::LeakyRelu(LeakyRelu::new(3))] {
            let graph = start().layer("curve", kind).max_pool(2).max_pool(2).dense("fc", 2);
            assert_eq!(lives(&graph, &[]), (std::vec![], 12 - 3));
        }
        // What lies below a pool is read for the weights of the layer above, and not for the ReLU.
        let above = start().max_pool(2).relu().conv2d("conv2", Conv2d::new(1, 1)).dense("fc", 2);
        assert_eq!(lives(&above, &[]), (std::vec![], 2));
    }

    #[test]
    fn multiplications_are_those_that_something_needs() {
        let flow = |settings| RESIDUAL.view().flow(settings).training_macs();
        let (stem, conv, fc) = (32, 64, 96);
        assert_eq!(flow(&[]), 2 * stem + 2 * 3 * conv + 3 * fc);
        let head = settings([1, 3, 5].map(|layer| (layer, Update::Nothing)));
        assert_eq!(flow(&head), stem + 2 * conv + 2 * fc);
        let some = Update::Channels { first: 1, count: 1 };
        let half = settings([(1, Update::Nothing), (3, Update::Nothing), (5, some)]);
        assert_eq!(flow(&half), stem + 2 * conv + conv / 2 + 3 * fc);
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
        let view = graph.view().flow(&[]);
        assert_eq!(
            [0, 1, 2, 3, 4, 5].map(|i| view.trains(i)),
            [false, false, true, false, true, true]
        );
    }
}
