//! A network that comes over the line.

use core::fmt;

use serde::{Deserialize, Deserializer, de};

use super::Refusal;
use crate::{
    config::{
        BlobError, Config,
        blob::{self, Magic},
    },
    graph::Graph,
};

/// A network and its settings: what a [`Trainer`](crate::trainer::Trainer) borrows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network<const N: usize> {
    /// The network.
    pub graph: Graph<N>,
    /// Its settings.
    pub config: Config<N>,
}

/// The desktop's part of a configuration. A device has no use for it.
struct Skipped;

impl<'de> Deserialize<'de> for Skipped {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Skipped;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }
            fn visit_bytes<E: de::Error>(self, _: &[u8]) -> Result<Skipped, E> {
                Ok(Skipped)
            }
        }
        deserializer.deserialize_bytes(Visitor)
    }
}

impl<const N: usize> Network<N> {
    /// Reads the bytes of a `.fxc` file. `graph` is the hash of the only network that is taken,
    /// if there is but one.
    pub fn decode(bytes: &[u8], graph: Option<u32>) -> Result<Self, Refusal> {
        type Content<const N: usize> = (Graph<N>, Config<N>, Skipped);
        let ((graph, config, Skipped), found) =
            blob::read::<Content<N>>(Magic::CONFIG, graph, bytes)?;
        let expected = graph.view().hash();
        if found != expected {
            return Err(BlobError::WrongGraph { expected, found }.into());
        }
        Ok(Self { graph, config })
    }
}
