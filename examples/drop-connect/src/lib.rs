//! DropConnect (Wan et al. 2013) as a strategy for fixgrad: in every training step each weight is
//! left out with a given probability, so that no output comes to rely on one of them.
//!
//! This is what a strategy in a crate of one's own looks like: a type, one `impl`, and no other
//! ties to fixgrad. Like the core it needs no heap, no float and no generator with a state.

#![no_std]
#![forbid(unsafe_code)]

use fixgrad::strategy::{Context, Place, Strategy, Tile};

/// Leaves weights out at random, anew in each step. Biases stay.
///
/// ```
/// use drop_connect::DropConnect;
/// use fixgrad::prelude::*;
///
/// let net: Graph<4> = Graph::input([2, 1, 1]).dense("hidden", 16).relu().dense("output", 2);
/// let config = Config::uniform(net.view(), LayerConfig::new(8), Train::new(4, Lr::ratio(1, 4)));
/// let drop = DropConnect::percent(10);
/// let needed = Trainer::<4, Scalar, DropConnect>::plan_for(&net, &config, &drop, 0)?.ram();
/// let mut arena = Arena::<4096>::new();
/// assert!(needed <= 4096);
///
/// let mut trainer = Trainer::new(&net, &config, arena.as_mut_slice(), Scalar, drop)?;
/// let samples = Samples { data: SampleData::I8(&[0, 0, 0, 64, 64, 0, 64, 64]), exponent: -6 };
/// for _ in 0..400 {
///     trainer.step(samples, Targets::Classes(&[0, 1, 1, 0]))?;
/// }
/// // Inference uses every weight.
/// assert_eq!(trainer.evaluate(samples, Targets::Classes(&[0, 1, 1, 0]))?.correct, 4);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DropConnect {
    /// A weight goes when its 16 random bits lie below this.
    threshold: u32,
}

impl DropConnect {
    /// Leaves out this share of the weights; 100 and more leave none.
    pub const fn percent(share: u8) -> Self {
        let share = if share > 100 { 100 } else { share as u32 };
        Self { threshold: share * 65_536 / 100 }
    }
}

impl Strategy for DropConnect {
    fn active(&self, _layer: u8, place: Place) -> bool {
        place == Place::Weight
    }

    fn post_weight(&mut self, context: &Context, tile: &mut Tile<'_>) {
        if context.bias {
            return;
        }
        // The random number belongs to the weight and not to the call, so tiles may come in any
        // order and size, and a chip and a desktop drop the same weights.
        for (value, index) in tile.values.iter_mut().zip(tile.first..) {
            if context.key.half(index) < self.threshold {
                *value = 0;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fixgrad::{optim::Lr, rng::Key};

    fn dropped(share: u8, step: u32, tiles: &[usize]) -> [i32; 4096] {
        let key = Key::new(1).child(step);
        let context = Context { step, lr: Lr::ZERO, layer: 1, bias: false, key };
        let mut values = [1; 4096];
        let (mut rest, mut first) = (values.as_mut_slice(), 0);
        for &tile in tiles.iter().cycle() {
            let (values, after) = rest.split_at_mut(tile.min(rest.len()));
            if values.is_empty() {
                break;
            }
            let next = first + values.len() as u32;
            let mut tile = Tile { values, exponent: 0, first, unit: 0 };
            DropConnect::percent(share).post_weight(&context, &mut tile);
            (rest, first) = (after, next);
        }
        values
    }

    #[test]
    fn about_the_share_goes_and_other_weights_in_each_step() {
        let kept = |values: [i32; 4096]| values.iter().sum::<i32>();
        assert_eq!((kept(dropped(0, 0, &[64])), kept(dropped(100, 0, &[64]))), (4096, 0));
        let half = kept(dropped(50, 0, &[64]));
        assert!((1900..2200).contains(&half), "{half}");
        assert_ne!(dropped(50, 0, &[64]), dropped(50, 1, &[64]));
    }

    #[test]
    fn the_size_of_tiles_does_not_matter() {
        assert_eq!(dropped(30, 0, &[64]), dropped(30, 0, &[1, 7, 300]));
    }
}
