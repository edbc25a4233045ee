//! A look at the numbers before they are quantised.
//!
//! A strategy that changes nothing counts them, in one step of a copy of the trainer. It is the
//! outermost one, so it sees sums as the kernels leave them, before the configured strategies.

use std::{cell::RefCell, collections::BTreeMap};

use anyhow::Result;
use fixgrad::{
    kernel::Kernel,
    quant::ceil_log2,
    strategy::{Context, Place, Strategy, Tile},
    trainer::Tensor,
};

use super::{batch::Batch, model::Model, record::Point, session::Workspace};

/// Values of one tensor by power of two.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sighting {
    /// Exponent of the unit of the sums.
    pub(crate) exponent: i16,
    /// Exponent of the bound in that step.
    pub(crate) bound: Option<i16>,
    /// Bin N counts `2^(N-1) < |x| <= 2^N`. Zeros are left out.
    pub(crate) bins: BTreeMap<i16, u64>,
}

impl Sighting {
    /// Pairs of bin and count, as the log has them.
    pub(crate) fn histogram(&self) -> Vec<[i64; 2]> {
        let pair =
            |(&bin, &count): (&i16, &u64)| [bin.into(), i64::try_from(count).unwrap_or(i64::MAX)];
        self.bins.iter().map(pair).collect()
    }
}

/// What was seen, by layer and point.
pub(crate) type Sightings = BTreeMap<(u8, Point), Sighting>;

/// The trainer's name for a point of the log.
pub(crate) const fn tensor(point: Point) -> Tensor {
    match point {
        Point::Weight => Tensor::Weight,
        Point::Bias => Tensor::Bias,
        Point::WeightGrad => Tensor::WeightGrad,
        Point::BiasGrad => Tensor::BiasGrad,
        Point::Activation => Tensor::Activation,
        Point::ActivationGrad => Tensor::ActivationGrad,
    }
}

/// Counts and changes nothing.
struct Probe<'p>(&'p RefCell<Sightings>);

impl Probe<'_> {
    fn note(&self, context: &Context, [weight, bias]: [Point; 2], tile: &Tile<'_>) {
        let point = if context.bias { bias } else { weight };
        let mut seen = self.0.borrow_mut();
        let seen = seen.entry((context.layer, point)).or_default();
        seen.exponent = tile.exponent;
        // By the width of the magnitude first: a lookup for every value would be slow.
        let mut widths = [0u64; 33];
        for value in tile.values.iter() {
            if let Some(width) = ceil_log2(value.unsigned_abs()) {
                widths[usize::from(width)] += 1;
            }
        }
        for (width, &count) in (0i16..).zip(&widths).filter(|&(_, &count)| count > 0) {
            *seen.bins.entry(tile.exponent.saturating_add(width)).or_default() += count;
        }
    }
}

impl Strategy for Probe<'_> {
    fn active(&self, _: u8, _: Place) -> bool {
        true
    }
    fn pre_weight(&mut self, context: &Context, tile: &mut Tile<'_>) {
        self.note(context, [Point::Weight, Point::Bias], tile);
    }
    fn pre_weight_grad(&mut self, context: &Context, tile: &mut Tile<'_>) {
        self.note(context, [Point::WeightGrad, Point::BiasGrad], tile);
    }
    fn pre_activation(&mut self, context: &Context, tile: &mut Tile<'_>) {
        self.note(context, [Point::Activation; 2], tile);
    }
    fn pre_activation_grad(&mut self, context: &Context, tile: &mut Tile<'_>) {
        self.note(context, [Point::ActivationGrad; 2], tile);
    }
}

/// Does one step with this batch on a copy of the trainer and tells what went into the points.
pub(crate) fn observe<K: Kernel>(model: &Model, kernel: K, batch: &Batch<'_>) -> Result<Sightings> {
    let seen = RefCell::default();
    let compiled = &model.compiled;
    let mut workspace = Workspace::for_strategy(&compiled.graph, &compiled.config, &Probe(&seen))?;
    let mut trainer = workspace.trainer(compiled, kernel, Probe(&seen))?;
    model.restore(&mut trainer)?;
    trainer.step(batch.samples(), batch.targets())?;
    for (&(layer, point), sighting) in seen.borrow_mut().iter_mut() {
        let state = trainer.states().nth(layer.into());
        sighting.bound = state.and_then(|state| state.range(tensor(point)).bound());
    }
    drop(trainer);
    Ok(seen.into_inner())
}
