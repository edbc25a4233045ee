//! `.fxg` files: a configuration and what training made of it. A checkpoint is one too.
//!
//! The file is a [blob](fixgrad::config::blob) whose content holds the bytes of the `.fxc` file,
//! the number of steps, the bounds of every layer, and the parameters as they lie in the arena:
//! all that decides later steps.

use std::{borrow::Cow, path::Path};

use fixgrad::{
    config::{
        BlobError,
        blob::{self, Magic},
    },
    kernel::Kernel,
    strategy::Strategy,
    trainer::{LayerMemory, Tensor, Trainer},
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    config::{Compiled, FxcError, MAX_LAYERS},
    files,
};

/// Larger files are no models that a desktop made.
const LARGEST: usize = 1 << 30;

/// A configuration and what training made of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// What was trained.
    pub compiled: Compiled,
    /// Steps that are done.
    pub step: u32,
    /// Bounds of every layer.
    pub layers: Vec<LayerMemory>,
    /// Master weights and momentum.
    pub parameters: Vec<u8>,
}

/// Why there is no model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// The frame is wrong.
    #[error("not a usable .fxg file: {0}")]
    Blob(#[from] BlobError),
    /// The configuration inside is wrong.
    #[error("the configuration in the .fxg file: {0}")]
    Config(#[from] FxcError),
    /// What was trained is not what the configuration describes.
    #[error(
        "the .fxg file holds {found} bytes of parameters for {layers} layers; its network needs \
         {needed} bytes for {expected} layers"
    )]
    Mismatch {
        /// Layers that were found.
        layers: usize,
        /// Layers of the network.
        expected: usize,
        /// Bytes that were found.
        found: usize,
        /// Bytes of the network.
        needed: usize,
    },
    /// A bound that no training gives.
    #[error("the .fxg file holds bounds outside 2^-256 .. 2^256: no training gives such")]
    Bounds,
}

#[derive(Serialize, Deserialize)]
struct Content<'a> {
    fxc: Cow<'a, [u8]>,
    step: u32,
    layers: Cow<'a, [LayerMemory]>,
    parameters: Cow<'a, [u8]>,
}

impl Model {
    /// The bytes of a `.fxg` file.
    pub fn encode(&self) -> Result<Vec<u8>, ModelError> {
        let content = Content {
            fxc: self.compiled.encode()?.into(),
            step: self.step,
            layers: self.layers.as_slice().into(),
            parameters: self.parameters.as_slice().into(),
        };
        let size = postcard::experimental::serialized_size(&content);
        let size = size.map_err(|_| BlobError::BadContent)?;
        let mut buffer = vec![0; size + blob::OVERHEAD];
        let graph = self.compiled.graph.view().hash();
        Ok(blob::write(Magic::MODEL, graph, &content, &mut buffer)?.to_vec())
    }

    /// Reads the bytes of a `.fxg` file. They are not trusted.
    pub fn decode(bytes: &[u8]) -> Result<Self, ModelError> {
        let (content, hash) = blob::read::<Content<'static>>(Magic::MODEL, None, bytes)?;
        let compiled = Compiled::decode(&content.fxc)?;
        let expected = compiled.graph.view().hash();
        if hash != expected {
            return Err(BlobError::WrongGraph { expected, found: hash }.into());
        }
        let layers = content.layers.into_owned();
        if !layers.iter().all(LayerMemory::is_plausible) {
            return Err(ModelError::Bounds);
        }
        let parameters = content.parameters.into_owned();
        Ok(Self { compiled, step: content.step, layers, parameters })
    }

    /// Reads a file.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let bytes = files::read(path, LARGEST)?;
        Self::decode(&bytes).map_err(|error| anyhow::anyhow!("{}: {error}", path.display()))
    }

    /// Writes a file, whole or not at all.
    pub fn write(&self, path: &Path) -> anyhow::Result<()> {
        files::replace(path, &self.encode()?)
    }

    /// Puts a trainer of the same configuration into this state.
    pub fn restore<K: Kernel, S: Strategy>(
        &self,
        trainer: &mut Trainer<'_, MAX_LAYERS, K, S>,
    ) -> Result<(), ModelError> {
        let (expected, needed) = (trainer.states().len(), trainer.persistent().len());
        if trainer.restore(self.step, &self.layers, &self.parameters) {
            return Ok(());
        }
        let (layers, found) = (self.layers.len(), self.parameters.len());
        Err(ModelError::Mismatch { layers, expected, found, needed })
    }

    /// SHA-256 over all parameter bytes, then the exponent of the bound of every tensor of every
    /// layer as a little-endian `i16`, in the order of [`Tensor::ALL`]; -32768 where there is
    /// none.
    pub fn sha256(&self) -> String {
        let mut digest = Sha256::new_with_prefix(&self.parameters);
        for layer in &self.layers {
            for tensor in Tensor::ALL {
                let bound = layer.bound(tensor).unwrap_or(i16::MIN);
                digest.update(bound.to_le_bytes());
            }
        }
        digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
