//! Networks that are more than a chain: layers that read two outputs, and outputs that several layers
//! read, whose gradients add up.

use super::{
    engine::{At, Engine},
    point::Sums,
};
use crate::{
    graph::{LayerPlan, Region, Way, pick},
    kernel::Kernel,
    layer::{Operator, Output, Unit, add_shifted, operate, shift},
    strategy::Strategy,
    tensor::MantissasMut,
    uses::Uses,
};

impl Way {
    /// True for a layer that reads two outputs.
    pub(super) const fn joins(&self) -> bool {
        self.input != self.other
    }

    /// True for a layer that reads the output of layer `of`.
    pub(super) fn reads(&self, of: usize) -> bool {
        usize::from(self.input) == of || usize::from(self.other) == of
    }
}

impl Unit {
    /// What is known of sums in this unit.
    pub(super) fn sums(self) -> Sums {
        Sums { exponent: self.exponent(), bits: self.bits(), slack: 0 }
    }
}

impl<'e, K: Kernel, S: Strategy, U: Uses> Engine<'e, K, S, U> {
    /// The unit in which the two inputs of a layer meet.
    pub(super) fn join_unit(&self, plan: &LayerPlan) -> Unit {
        let inputs = [plan.way.input, plan.way.other].map(usize::from);
        inputs.into_iter().fold(Unit::NONE, |unit, of| {
            let exponent = self.exponents.get(of).map_or(0, |now| now.output);
            let bits = self.plan.get(of).map_or(1, |plan| plan.output_bits);
            unit.and(exponent, bits.saturating_sub(1))
        })
    }

    /// How far the numbers of the two inputs go to the left.
    pub(super) fn join_shifts(&self, plan: &LayerPlan) -> [i32; 2] {
        let unit = self.join_unit(plan);
        [plan.way.input, plan.way.other]
            .map(|of| unit.left(self.exponents.get(usize::from(of)).map_or(0, |now| now.output)))
    }

    /// Where the second input of a layer lies now.
    pub(super) fn other_region(&self, plan: &LayerPlan) -> &'e Region {
        let holder = self.plan.get(usize::from(plan.way.other)).map(|at| usize::from(at.output));
        holder.and_then(|at| self.plan.get(at)).map_or(&Region::NONE, |at| &at.activation)
    }

    /// The layers that read the output of layer `of` and have a gradient for it.
    pub(super) fn readers(&self, of: usize) -> impl Iterator<Item = At<'e>> + use<'e, K, S, U> {
        let (plan, layers) = (self.plan, self.layers);
        let all = plan.iter().zip(layers).enumerate().skip(of + 1);
        let all = all.map(|(i, (plan, config))| At { i, plan, config });
        all.filter(move |at| at.plan.way.reads(of) && at.plan.grad.len > 0)
    }

    /// Whether layer `i` is the first that has a gradient for the output of layer `of`: then all others
    /// have theirs.
    pub(super) fn is_first_reader(&self, i: usize, of: usize) -> bool {
        self.readers(of).next().is_some_and(|first| first.i == i)
    }

    /// What is known of the sums that the readers of layer `of` send down.
    pub(super) fn readers_unit(&self, of: usize) -> Unit {
        self.readers(of).fold(Unit::NONE, |unit, reader| {
            let Sums { exponent, bits, .. } = self.layer_sums(reader);
            unit.and(exponent, bits)
        })
    }

    /// Sums of the gradient by the output of layer `of`, from number `first` on, of all its readers.
    #[inline(never)]
    pub(super) fn produce_all(&mut self, of: usize, tile: &Region, first: usize, count: usize) {
        let unit = self.readers_unit(of);
        let len = tile.len;
        let next = Region::new(tile.offset() + 4 * len, len, tile.width());
        for (i, reader) in self.readers(of).enumerate() {
            let to = if i == 0 { tile } else { &next };
            self.produce(reader, of, to, first, count);
            self.through_reader(reader, to, first);
            let left = unit.left(self.layer_sums(reader).exponent);
            let [sums, more] = pick(self.memory, [tile, &next]);
            match (sums, more) {
                (MantissasMut::I32(sums), _) if i == 0 => shift(sums, left),
                (MantissasMut::I32(sums), MantissasMut::I32(more)) => add_shifted(sums, more, left),
                _ => {}
            }
        }
    }

    /// Blocks the sums of a reader that made a copy where it would have changed numbers.
    fn through_reader(&mut self, reader: At<'_>, tile: &Region, first: usize) {
        let plan = reader.plan;
        // What leaves gradients as they are may have forgotten its output.
        if plan.way.output == Output::Sums || !plan.way.kind.blocks() {
            return;
        }
        let [sums, output] = pick(self.memory, [tile, &plan.activation]);
        let MantissasMut::I32(sums) = sums else { return };
        let output = U::codes(output.as_ref()).part(first, sums.len());
        let exponent = self.exponents.get(reader.i).map_or(0, |now| now.output);
        operate!(plan.way.kind, U, layer => layer.pass_back(sums, output, exponent));
    }
}
