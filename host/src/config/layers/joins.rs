//! `add: { other: relu2 }` and `concat: { other: relu2 }`.

use fixgrad::graph::{Add, Concat};

use super::{Row, Words, Writes, keys::keys};
use crate::config::At;

keys! {
    /// A layer that reads two others.
    #[schemars(extend("required" = ["other"]))]
    JoinKeys {
        /// The name of the second layer that is read.
        other: At<String>,
    }
    fn other(&self) -> Option<&At<String>> {
        self.other.as_ref()
    }
    fn say(&mut self, row: &Row<'_>) {
        self.other = Some(row.other.to_owned().into());
    }
}

macro_rules! joins {
    ($($layer:ident),*) => {
        $(impl Words for $layer {
            type Keys = JoinKeys;
            const NEEDS: &str = "the name of an `other` one";
            const EXAMPLE: &str = "{ other: relu2 }";

            fn read(keys: &JoinKeys) -> Option<Self> {
                keys.other.as_ref().map(|_| Self)
            }
        }

        impl Writes for $layer {
            fn write(self) -> JoinKeys {
                JoinKeys::default()
            }
        })*
    };
}
joins!(Add, Concat);
