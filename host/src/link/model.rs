//! The state of a training, over the line and back.

use fixgrad::{
    kernel::Scalar,
    link::{Request, Response},
    quant::RangeState,
    trainer::{LayerMemory, LayerState, Tensor},
};

use super::{
    client::{Client, Stream, unexpected},
    error::LinkError,
};
use crate::{
    config::Compiled,
    run::{Model, Workspace},
};

impl<S: Stream> Client<S> {
    /// The state of the device, which works on this configuration. The parameters are not checked
    /// against it.
    pub fn pull(&mut self, compiled: &Compiled) -> anyhow::Result<Model> {
        let before = self.state()?;
        let mut parameters = Vec::with_capacity(before.parameters as usize);
        while parameters.len() < before.parameters as usize {
            let at = parameters.len() as u32;
            match self.ask(&Request::Weights { at, len: before.parameters - at })? {
                Response::Bytes(bytes) if !bytes.is_empty() => parameters.extend_from_slice(bytes),
                other => return Err(unexpected("parameters", &other).into()),
            }
        }
        let layers = compiled.graph.view().layers().len();
        let layers = (0..layers).map(|layer| self.layer(layer as u8)).collect::<Result<_, _>>()?;
        let after = self.state()?;
        let model = Model { compiled: compiled.clone(), step: after.step, layers, parameters };
        if (before.step, before.pending, before.digest) != (after.step, 0, after.digest)
            || digest(&model)? != after.digest
        {
            return Err(LinkError::Moved.into());
        }
        Ok(model)
    }

    /// Puts the device, which works on the model's configuration, into the model's state.
    pub fn push(&mut self, model: &Model) -> anyhow::Result<()> {
        let digest = digest(model)?;
        let size = self.chunk();
        for (bytes, at) in model.parameters.chunks(size).zip((0..).step_by(size)) {
            self.tell(&Request::SetWeights { at, bytes })?;
        }
        for (layer, &memory) in (0..).zip(&model.layers) {
            self.tell(&Request::SetLayer { layer, memory })?;
        }
        Ok(self.tell(&Request::SetDone { step: model.step, digest })?)
    }

    /// Bounds and counters of the first `layers` layers.
    pub fn states(&mut self, layers: usize) -> Result<Vec<LayerState>, LinkError> {
        let mut states = Vec::new();
        for layer in 0..layers as u8 {
            let mut ranges = [RangeState::NEW; 8];
            for (range, tensor) in ranges.iter_mut().zip(Tensor::ALL) {
                match self.ask(&Request::Range { layer, tensor })? {
                    Response::Range(found) => *range = found,
                    other => return Err(unexpected("a bound", &other)),
                }
            }
            states.push(LayerState::from_ranges(ranges));
        }
        Ok(states)
    }

    fn layer(&mut self, layer: u8) -> Result<LayerMemory, LinkError> {
        match self.ask(&Request::Layer { layer })? {
            Response::Layer(memory) => Ok(memory),
            other => Err(unexpected("a layer", &other)),
        }
    }
}

/// What a device in this state gives as its digest.
fn digest(model: &Model) -> anyhow::Result<u64> {
    let mut workspace = Workspace::new(&model.compiled)?;
    let mut trainer = workspace.trainer(&model.compiled, Scalar, ())?;
    model.restore(&mut trainer)?;
    Ok(trainer.digest())
}
