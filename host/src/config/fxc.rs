//! `.fxc` files: a compiled configuration in the byte form that devices take.

use fixgrad::{
    config::{
        BlobError, Config, ConfigError,
        blob::{self, Magic},
    },
    graph::Graph,
};
use serde::{Deserialize, Serialize};

use super::{
    compile::{Compiled, HostPart},
    network::MAX_LAYERS,
    training::Length,
};

/// Larger files are no `.fxc` files.
pub const LARGEST: usize = 1 << 20;

/// Why a configuration cannot become bytes, or bytes a configuration.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FxcError {
    /// The frame is wrong.
    #[error("not a usable .fxc file: {0}")]
    Blob(#[from] BlobError),
    /// The settings contradict the graph or each other.
    #[error("a .fxc file with impossible settings: {0}")]
    Config(#[from] ConfigError),
    /// The desktop's part makes no sense.
    #[error(
        "the desktop's part of the .fxc file cannot be read ({0}): encode it again from its YAML"
    )]
    Host(String),
}

/// The content of the file. The desktop's part is opaque bytes, so that a device can skip it.
type Content = (Graph<MAX_LAYERS>, Config<MAX_LAYERS>, Vec<u8>);

/// The desktop's part in the file. The data section is JSON: its numbers may be counts or shares,
/// which a form that does not describe itself cannot tell apart.
#[derive(Serialize, Deserialize)]
struct Stored {
    name: String,
    data: String,
    length: Length,
}

impl Compiled {
    /// The bytes of a `.fxc` file.
    pub fn encode(&self) -> Result<Vec<u8>, FxcError> {
        let data = serde_json::to_string(&self.host.data);
        let stored = Stored {
            name: self.host.name.clone(),
            data: data.map_err(|error| FxcError::Host(error.to_string()))?,
            length: self.host.length,
        };
        let host =
            postcard::to_stdvec(&stored).map_err(|error| FxcError::Host(error.to_string()))?;
        let mut buffer = vec![0; LARGEST];
        let content: (_, _, &Vec<u8>) = (&self.graph, &self.config, &host);
        let graph = self.graph.view().hash();
        Ok(blob::write(Magic::CONFIG, graph, &content, &mut buffer)?.to_vec())
    }

    /// Reads the bytes of a `.fxc` file. They are not trusted.
    pub fn decode(bytes: &[u8]) -> Result<Self, FxcError> {
        let ((graph, config, host), hash) = blob::read::<Content>(Magic::CONFIG, None, bytes)?;
        let expected = graph.view().hash();
        if hash != expected {
            return Err(BlobError::WrongGraph { expected, found: hash }.into());
        }
        config.validate(graph.view())?;
        let stored: Stored =
            postcard::from_bytes(&host).map_err(|error| FxcError::Host(error.to_string()))?;
        let data = serde_json::from_str(&stored.data)
            .map_err(|error| FxcError::Host(error.to_string()))?;
        let host = HostPart { name: stored.name, data, length: stored.length };
        Ok(Self { graph, config, host })
    }
}
