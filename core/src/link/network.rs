//! A network that comes over the line.

use core::fmt;

use serde::{Deserialize, Deserializer, de};

use super::Refusal;
use crate::{
    config::{
        BlobError, Config,
        blob::{self, Magic},
    },
    graph::{Graph, GraphView},
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

    /// Writes what [`decode`](Self::decode) reads, for a device that keeps the network of its
    /// trainer; returns the part of `buffer` that was used.
    pub fn encode<'b>(
        graph: GraphView<'_>,
        config: &Config<N>,
        buffer: &'b mut [u8],
    ) -> Result<&'b [u8], BlobError> {
        const NOTHING: &[u8] = &[];
        blob::write(Magic::CONFIG, graph.hash(), &(graph.layers(), config, NOTHING), buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prelude::*;

    #[test]
    fn a_network_that_was_written_is_read_again() {
        const NET: Graph<4> = Graph::input([2, 1, 1]).dense("fc1", 8).relu().dense("fc2", 2);
        let config =
            Config::uniform(NET.view(), LayerConfig::tiny(), Train::new(4, Lr::ratio(1, 2)));
        let mut buffer = [0; 600];
        let bytes = Network::encode(NET.view(), &config, &mut buffer).unwrap();
        let read = Network::<4>::decode(bytes, Some(NET.view().hash()));
        assert_eq!(read, Ok(Network { graph: NET, config: config.clone() }));
        let mut small = [0; 60];
        let error = Network::encode(NET.view(), &config, &mut small);
        assert_eq!(error, Err(BlobError::BufferTooSmall));
    }
}
