//! Nesting.

use super::{Context, Place, Strategy, Tile};

/// No strategy at all.
impl Strategy for () {
    fn active(&self, _: u8, _: Place) -> bool {
        false
    }
}

macro_rules! borrow {
    ($($hook:ident),*) => {$(
        fn $hook(&mut self, context: &Context, tile: &mut Tile<'_>) {
            (**self).$hook(context, tile);
        }
    )*};
}

/// A strategy that the caller keeps, to look at it afterwards.
impl<S: Strategy + ?Sized> Strategy for &mut S {
    fn active(&self, layer: u8, place: Place) -> bool {
        (**self).active(layer, place)
    }
    fn off_grid(&self, layer: u8, place: Place) -> bool {
        (**self).off_grid(layer, place)
    }
    borrow!(pre_weight, pre_weight_grad, pre_activation, pre_activation_grad);
    borrow!(post_weight, post_weight_grad, post_activation, post_activation_grad);
}

macro_rules! nest {
    (pre $($hook:ident),*) => {$(
        fn $hook(&mut self, context: &Context, tile: &mut Tile<'_>) {
            self.0.$hook(&inner(context, 0), tile);
            self.1.$hook(&inner(context, 1), tile);
        }
    )*};
    (post $($hook:ident),*) => {$(
        fn $hook(&mut self, context: &Context, tile: &mut Tile<'_>) {
            self.1.$hook(&inner(context, 1), tile);
            self.0.$hook(&inner(context, 0), tile);
        }
    )*};
}

/// Each member of a pair draws its own random numbers.
fn inner(context: &Context, member: u32) -> Context {
    Context { key: context.key.child(member), ..*context }
}

impl<A: Strategy, B: Strategy> Strategy for (A, B) {
    fn active(&self, layer: u8, place: Place) -> bool {
        self.0.active(layer, place) || self.1.active(layer, place)
    }
    fn off_grid(&self, layer: u8, place: Place) -> bool {
        self.0.off_grid(layer, place) || self.1.off_grid(layer, place)
    }
    nest!(pre pre_weight, pre_weight_grad, pre_activation, pre_activation_grad);
    nest!(post post_weight, post_weight_grad, post_activation, post_activation_grad);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{optim::Lr, rng::Key};

    struct Digit(i32);

    impl Strategy for Digit {
        fn pre_weight(&mut self, _: &Context, tile: &mut Tile<'_>) {
            tile.values[0] = tile.values[0] * 10 + self.0;
        }
        fn post_weight(&mut self, _: &Context, tile: &mut Tile<'_>) {
            tile.values[0] = tile.values[0] * 10 + self.0;
        }
    }

    #[test]
    fn the_first_is_the_outermost() {
        let mut onion = (Digit(1), (Digit(2), Digit(3)));
        let context = Context { step: 0, lr: Lr::ZERO, layer: 0, bias: false, key: Key::new(0) };
        let mut values = [0];
        let mut tile = Tile { values: &mut values, exponent: 0, first: 0, unit: 0 };
        onion.pre_weight(&context, &mut tile);
        onion.post_weight(&context, &mut tile);
        assert_eq!(values, [123_321]);
    }
}
