//! Ready-made strategies as data, so that a configuration can carry them.

use serde::{Deserialize, Serialize};

use super::{Context, GradientBuffer, Noise, Place, Strategy, Tile};

/// A set of layers by their place in the graph.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct LayerSet(pub u64);

impl LayerSet {
    /// Every layer.
    pub const ALL: Self = Self(u64::MAX);

    /// With one more layer.
    ///
    /// # Panics
    ///
    /// For layers from 64 on, which only [`ALL`](Self::ALL) holds; in a `const` that stops the
    /// build.
    #[must_use]
    pub const fn with(self, layer: u8) -> Self {
        assert!(layer < 64, "a layer set names layers 0 to 63; for later ones use LayerSet::ALL");
        Self(self.0 | 1 << layer)
    }

    /// True when the layer is in it.
    pub const fn holds(self, layer: u8) -> bool {
        self.0 == u64::MAX || (layer < 64 && self.0 >> layer & 1 == 1)
    }
}

/// One ready-made strategy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum StrategyKind {
    /// Noise at one of the four places.
    Noise(Place, Noise),
    /// A fixed-range buffer behind the weight gradient.
    GradientBuffer(GradientBuffer),
}

/// A ready-made strategy and the layers that it works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct StrategyConfig {
    /// Where.
    pub layers: LayerSet,
    /// What.
    pub kind: StrategyKind,
}

impl StrategyConfig {
    fn place(&self) -> Place {
        match self.kind {
            StrategyKind::Noise(place, _) => place,
            StrategyKind::GradientBuffer(_) => Place::WeightGrad,
        }
    }

    fn pre(&self, place: Place, context: &Context, tile: &mut Tile<'_>) {
        match self.kind {
            StrategyKind::Noise(_, noise) if self.works_on(context.layer, place) => {
                noise.pre.apply(context, tile);
            }
            _ => {}
        }
    }

    fn post(&self, place: Place, context: &Context, tile: &mut Tile<'_>) {
        if !self.works_on(context.layer, place) {
            return;
        }
        match self.kind {
            StrategyKind::Noise(_, noise) => noise.post.apply(context, tile),
            StrategyKind::GradientBuffer(buffer) => buffer.apply(tile),
        }
    }

    fn works_on(&self, layer: u8, place: Place) -> bool {
        self.place() == place && self.layers.holds(layer)
    }
}

/// The strategies of a configuration, the first outermost.
#[derive(Clone, Copy, Debug)]
pub struct Configured<'a>(pub &'a [StrategyConfig]);

impl Configured<'_> {
    fn pre(&self, place: Place, context: &Context, tile: &mut Tile<'_>) {
        for (i, strategy) in self.0.iter().enumerate() {
            strategy.pre(place, &own(context, i), tile);
        }
    }

    fn post(&self, place: Place, context: &Context, tile: &mut Tile<'_>) {
        for (i, strategy) in self.0.iter().enumerate().rev() {
            strategy.post(place, &own(context, i).after(), tile);
        }
    }
}

fn own(context: &Context, index: usize) -> Context {
    Context { key: context.key.child(index as u32), ..*context }
}

impl Context {
    /// The same with other random numbers: a post hook must not repeat its pre hook's.
    fn after(self) -> Self {
        Self { key: self.key.child(u32::MAX), ..self }
    }
}

impl Strategy for Configured<'_> {
    fn active(&self, layer: u8, place: Place) -> bool {
        self.0.iter().any(|strategy| strategy.works_on(layer, place))
    }
    fn off_grid(&self, layer: u8, place: Place) -> bool {
        self.0.iter().any(|strategy| {
            matches!(strategy.kind, StrategyKind::Noise(_, noise) if !noise.requantize
                && noise.post != super::Amount::None)
                && strategy.works_on(layer, place)
        })
    }
    fn pre_weight(&mut self, context: &Context, tile: &mut Tile<'_>) {
        self.pre(Place::Weight, context, tile);
    }
    fn post_weight(&mut self, context: &Context, tile: &mut Tile<'_>) {
        self.post(Place::Weight, context, tile);
    }
    fn pre_weight_grad(&mut self, context: &Context, tile: &mut Tile<'_>) {
        self.pre(Place::WeightGrad, context, tile);
    }
    fn post_weight_grad(&mut self, context: &Context, tile: &mut Tile<'_>) {
        self.post(Place::WeightGrad, context, tile);
    }
    fn pre_activation(&mut self, context: &Context, tile: &mut Tile<'_>) {
        self.pre(Place::Activation, context, tile);
    }
    fn post_activation(&mut self, context: &Context, tile: &mut Tile<'_>) {
        self.post(Place::Activation, context, tile);
    }
    fn pre_activation_grad(&mut self, context: &Context, tile: &mut Tile<'_>) {
        self.pre(Place::ActivationGrad, context, tile);
    }
    fn post_activation_grad(&mut self, context: &Context, tile: &mut Tile<'_>) {
        self.post(Place::ActivationGrad, context, tile);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_what_it_names_and_names_what_it_can() {
        let set = LayerSet::default().with(0).with(63);
        assert!(set.holds(0) && set.holds(63) && !set.holds(1) && !set.holds(64));
        assert!(LayerSet::ALL.holds(64));
        assert!(std::panic::catch_unwind(|| LayerSet::default().with(64)).is_err());
    }
}
