//! Layers with nothing to set: `relu`.

use fixgrad::graph::{Flatten, GlobalAvgPool, Hardsigmoid, Relu, Relu6, Sigmoid, Tanh};

use super::{Words, Writes, keys::keys};

keys! {
    /// A layer with nothing to set.
    PlainKeys {}
}

macro_rules! plain {
    ($($layer:ident),*) => {
        $(impl Words for $layer {
            type Keys = PlainKeys;

            fn read(_: &PlainKeys) -> Option<Self> {
                Some(Self)
            }
        }

        impl Writes for $layer {
            fn write(self) -> PlainKeys {
                PlainKeys::default()
            }
        })*
    };
}
plain!(Relu, Flatten, GlobalAvgPool, Relu6, Sigmoid, Tanh, Hardsigmoid);
