//! Settings that have a short form, a word, beside the long one, a mapping.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error, MapAccess, Visitor, value::MapAccessDeserializer},
};

/// A setting that may be written as one scalar or as a mapping. An untagged enum would do, but
/// it loses the place of every error inside.
pub(crate) trait Short: Sized {
    /// The mapping.
    type Long: DeserializeOwned;
    /// Completes "expected ...".
    const EXPECTED: &'static str;
    /// The meaning of a word.
    fn word(word: &str) -> Result<Self, String>;
    /// The meaning of a mapping.
    fn long(long: Self::Long) -> Result<Self, String>;
    /// The meaning of a whole number.
    fn number(number: i64) -> Result<Self, String> {
        Err(format!("expected {}, found {number}", Self::EXPECTED))
    }
}

pub(crate) fn deserialize<'de, T: Short, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    deserializer.deserialize_any(ShortVisitor(PhantomData))
}

struct ShortVisitor<T>(PhantomData<T>);

impl<'de, T: Short> Visitor<'de> for ShortVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::EXPECTED)
    }

    fn visit_str<E: Error>(self, word: &str) -> Result<T, E> {
        T::word(word).map_err(E::custom)
    }

    fn visit_unit<E: Error>(self) -> Result<T, E> {
        Err(E::custom(format_args!("expected {}, found nothing", T::EXPECTED)))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<T, E> {
        T::number(i64::try_from(number).unwrap_or(i64::MAX)).map_err(E::custom)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<T, E> {
        T::number(number).map_err(E::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        let long = T::Long::deserialize(MapAccessDeserializer::new(map))?;
        T::long(long).map_err(A::Error::custom)
    }
}

/// `Deserialize` through [`Short`].
macro_rules! deserialize_short {
    ($($type:ty),*) => {$(
        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                crate::config::short::deserialize(deserializer)
            }
        }
    )*};
}
pub(crate) use deserialize_short;
