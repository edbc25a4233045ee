//! `.fxg` files: a configuration and what training made of it. A checkpoint is one too.
//!
//! The file is a [blob](fixgrad::config::blob) whose content holds the bytes of the `.fxc` file,
//! the number of steps, the bounds of every layer, and the parameters as they lie in the arena:
//! all that decides later steps.

use std::{borrow::Cow, ops::Range, path::Path};

use fixgrad::{
    config::{
        BlobError,
        blob::{self, Magic},
    },
    graph::Region,
    kernel::Kernel,
    strategy::Strategy,
    tensor::Width,
    trainer::{LayerMemory, RestoreError, Tensor, Trainer},
};
use hmac_sha256::Hash;
use serde::{Deserialize, Serialize};

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
    /// What was trained is not what the configuration describes, or no trainer takes it.
    #[error("the .fxg file: {0}")]
    State(#[from] RestoreError),
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
        if let Some(layer) = layers.iter().position(|memory| !memory.is_plausible()) {
            return Err(RestoreError::Bounds { layer }.into());
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
        Ok(trainer.restore(self.step, &self.layers, &self.parameters)?)
    }

    /// What its experiment is called.
    pub fn name(&self) -> &str {
        &self.compiled.host.name
    }

    /// SHA-256 over all parameter bytes, then the exponent of the bound of every tensor of every
    /// layer as a little-endian `i16`, in the order of [`Tensor::ALL`]; -32768 where there is
    /// none.
    pub fn sha256(&self) -> String {
        let mut digest = Hash::new();
        digest.update(&self.parameters);
        for layer in &self.layers {
            for tensor in Tensor::ALL {
                let bound = layer.bound(tensor).unwrap_or(i16::MIN);
                digest.update(bound.to_le_bytes());
            }
        }
        digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// The bytes of a region of parameters.
pub(crate) fn range(region: Region) -> Range<usize> {
    let from = region.offset() as usize;
    from..from + region.bytes()
}

/// The mantissas of a region of parameters; none where these end before it.
pub(crate) fn mantissas(parameters: &[u8], region: Region) -> Vec<i64> {
    let bytes = parameters.get(range(region)).unwrap_or_default();
    match region.width() {
        Width::I8 => bytes.iter().map(|&byte| i64::from(byte.cast_signed())).collect(),
        Width::I16 => bytes.as_chunks().0.iter().map(|&b| i16::from_le_bytes(b).into()).collect(),
        Width::I32 => bytes.as_chunks().0.iter().map(|&b| i32::from_le_bytes(b).into()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use fixgrad::{config::CRC32, kernel::Scalar};

    use super::*;
    use crate::{
        config::Experiment,
        data::SearchPath,
        run::{Job, Overrides, Session, Workspace},
    };

    const YAML: &str = "\
model:
  layers:
    - dense: { name: fc1, units: 6 }
    - relu
    - dense: { name: fc2, units: 10 }
data: digits
train: { epochs: 1, batch: 64, lr: 0.5, momentum: 0.5 }
fixed:
  default:
    weight: { per_channel: true }
    activation_grad: { range: { moving: { window: 4 } } }
";

    fn job() -> Job {
        let experiment = Experiment::parse("tiny.yaml", YAML).unwrap();
        Job::new(experiment, &SearchPath::new(None, None, None), Overrides::default()).unwrap()
    }

    fn trained(job: &Job) -> Model {
        let mut workspace = Workspace::new(&job.compiled).unwrap();
        let mut session = Session::new(&job.compiled, &job.data, Scalar, &mut workspace).unwrap();
        session.epoch(|_| ()).unwrap();
        session.model()
    }

    #[test]
    fn what_is_written_is_read_and_every_damage_is_noticed() {
        let model = trained(&job());
        let bytes = model.encode().unwrap();
        assert_eq!(Model::decode(&bytes).unwrap(), model);
        for at in (0..bytes.len()).step_by(7) {
            assert!(Model::decode(&bytes[..at]).is_err(), "cut at {at}");
            for bit in [0, 3, 7] {
                let mut damaged = bytes.clone();
                damaged[at] ^= 1 << bit;
                assert!(Model::decode(&damaged).is_err(), "byte {at}, bit {bit}");
            }
        }
    }

    /// A forger can give damage a right checksum. That must not lead to a panic.
    #[test]
    fn forged_states_are_refused_or_harmless() {
        let job = job();
        let model = trained(&job);
        let bytes = model.encode().unwrap();
        let state = job.compiled.encode().unwrap().len() + 16;
        let (mut refused, mut harmless) = (0, 0);
        for at in (state..bytes.len() - 4).step_by(3) {
            let mut forged = bytes.clone();
            forged[at] ^= 0x55;
            let end = forged.len() - 4;
            let crc = CRC32.checksum(&forged[..end]);
            forged[end..].copy_from_slice(&crc.to_le_bytes());
            let Ok(forged) = Model::decode(&forged) else {
                refused += 1;
                continue;
            };
            let mut workspace = Workspace::new(&job.compiled).unwrap();
            let mut session =
                Session::new(&job.compiled, &job.data, Scalar, &mut workspace).unwrap();
            if session.restore(&forged).is_ok() {
                session.observe().unwrap();
                session.validate().unwrap();
                harmless += 1;
            }
        }
        assert!(refused > 10 && harmless > 10, "{refused} {harmless}");
    }

    #[test]
    fn the_hash_sees_weights_and_bounds() {
        let model = trained(&job());
        let mut weights = model.clone();
        weights.parameters[0] ^= 1;
        let mut bounds = model.clone();
        bounds.layers.swap(1, 3);
        assert_ne!(model.sha256(), weights.sha256());
        assert_ne!(model.sha256(), bounds.sha256());
        assert_eq!(model.sha256(), trained(&job()).sha256());
    }

    #[test]
    fn a_look_leaves_no_trace() {
        let job = job();
        let mut workspace = Workspace::new(&job.compiled).unwrap();
        let mut session = Session::new(&job.compiled, &job.data, Scalar, &mut workspace).unwrap();
        session.observe().unwrap();
        session.epoch(|_| ()).unwrap();
        let before = session.model();
        session.observe().unwrap();
        session.validate().unwrap();
        assert_eq!(session.model(), before);
        assert_eq!(before, trained(&job));
    }
}
