//! The settings of a layer as a type: keys that may all be left out.

use fixgrad::config::Init;
use schemars::JsonSchema;

use crate::config::At;

/// What can be said of every layer.
pub(in crate::config) trait Keys {
    /// What the layer is called, and the layer that is read.
    fn place(&self) -> [Option<&At<String>>; 2];
    /// As [`place`](Self::place), writable.
    fn place_mut(&mut self) -> [&mut Option<At<String>>; 2];
    /// The second layer that is read.
    fn other(&self) -> Option<&At<String>> {
        None
    }
    /// Weights and bias before the first step.
    fn inits(&self) -> [Option<Init>; 2] {
        [None; 2]
    }
    /// Says what only some layers can say.
    fn say(&mut self, _: &Row<'_>) {}
}

/// What a layer is beside its kind.
pub(in crate::config) struct Row<'a> {
    pub(in crate::config) name: &'a str,
    /// The layer that is read, where it is not the one above.
    pub(in crate::config) from: Option<&'a str>,
    pub(in crate::config) other: &'a str,
    pub(in crate::config) inits: [Init; 2],
}

/// The keys of a kind of layer, and before them those of every layer. Functions of [`Keys`] may follow.
macro_rules! keys {
    (
        $(#[$doc:meta])* $name:ident
        { $($(#[$attr:meta])* $field:ident: $type:ty,)* }
        $($body:tt)*
    ) => {
        #[derive(Clone, Debug, Default, PartialEq)]
        #[derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        $(#[$doc])*
        #[serde(deny_unknown_fields)]
        pub struct $name {
            /// Up to 15 letters, digits, `_`, `-`, `.` and `/`. By default the kind and the place.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub name: Option<$crate::config::At<String>>,
            /// The name of the layer that is read. By default the one above.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub from: Option<$crate::config::At<String>>,
            $(
                $(#[$attr])*
                #[serde(default, skip_serializing_if = "Option::is_none")]
                pub $field: Option<$type>,
            )*
        }

        impl $crate::config::layers::keys::Keys for $name {
            fn place(&self) -> [Option<&$crate::config::At<String>>; 2] {
                [self.name.as_ref(), self.from.as_ref()]
            }
            fn place_mut(&mut self) -> [&mut Option<$crate::config::At<String>>; 2] {
                [&mut self.name, &mut self.from]
            }
            $($body)*
        }
    };
}
pub(super) use keys;

/// [`keys!`] of a layer with weights, and those of its defaults.
macro_rules! weighted_keys {
    (
        $(#[$doc:meta])* $name:ident, $defaults:ident
        { $($(#[$attr:meta])* $field:ident: $type:ty,)* }
    ) => {
        $crate::config::layers::keys::weighted_keys! {
            @with $(#[$doc])* $name, $defaults {
                $($(#[$attr])* $field: $type,)*
                /// Whether a bias is added; by default it is.
                bias: bool,
                /// Weights before the first step; `he_uniform` by default.
                #[schemars(with = "Option<super::keys::InitWord>")]
                init: fixgrad::config::Init,
                /// Bias before the first step; `zero` by default.
                #[schemars(with = "Option<super::keys::InitWord>")]
                bias_init: fixgrad::config::Init,
            }
        }
    };
    (
        @with $(#[$doc:meta])* $name:ident, $defaults:ident
        { $($(#[$attr:meta])* $field:ident: $type:ty,)* }
    ) => {
        $crate::config::layers::keys::keys! {
            $(#[$doc])* $name {
                $($(#[$attr])* $field: $type,)*
            }
            fn inits(&self) -> [Option<fixgrad::config::Init>; 2] {
                [self.init, self.bias_init]
            }
            fn say(&mut self, row: &super::Row<'_>) {
                [self.init, self.bias_init] = row.inits.map(Some);
            }
        }

        /// What layers of a kind have unless they say otherwise.
        #[derive(Clone, Debug, Default, PartialEq)]
        #[derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub struct $defaults {
            $(
                $(#[$attr])*
                #[serde(default, skip_serializing_if = "Option::is_none")]
                pub $field: Option<$type>,
            )*
        }

        impl $name {
            /// What is said, and from the defaults what is not.
            pub(super) fn over(&self, defaults: &$defaults) -> Self {
                Self {
                    name: self.name.clone(),
                    from: self.from.clone(),
                    $($field: self.$field.or(defaults.$field),)*
                }
            }
        }
    };
}
pub(super) use weighted_keys;

/// Names of [`Init`], for the schema.
#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
#[expect(dead_code, reason = "only its schema is used")]
pub(super) enum InitWord {
    Zero,
    HeUniform,
    XavierUniform,
    LecunUniform,
}
