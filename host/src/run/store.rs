//! A model's parameters for another training: to begin with on the desktop, or to be read on a chip.

use anyhow::{Context, Result, ensure};
use fixgrad::{
    config::Master,
    graph::{GraphView, Region},
    kernel::Scalar,
    quant::{Format, Overflow, Round, requantize},
    stored::Stored,
    tensor::Width,
};

use super::{
    Model, Workspace,
    model::{mantissas, range},
};
use crate::config::Compiled;

impl Model {
    /// Takes over the parameters and bounds of all layers that have the same name, kind and shapes in
    /// another model; returns the names of those with parameters. Momentum begins anew.
    pub fn take_over(&mut self, from: &Self) -> Result<Vec<String>> {
        let (view, theirs) = (self.compiled.graph.view(), from.compiled.graph.view());
        let plans = [self.compiled.plan_in_ram()?, from.compiled.plan_in_ram()?];
        let mut taken = Vec::new();
        for (i, layer) in view.layers().iter().enumerate() {
            let Some(k) = same_layer(view, theirs, i) else { continue };
            let [to, of] = [&plans[0].layers()[i], &plans[1].layers()[k]];
            let [settings, others] =
                [&self.compiled.config.layers[i], &from.compiled.config.layers[k]];
            for (to, of, units) in [
                (to.weight.master, of.weight.master, [settings.master, others.master]),
                (to.bias.master, of.bias.master, [settings.bias_master, others.bias_master]),
            ] {
                let place = range(to);
                let values = mantissas(&from.parameters, of);
                write(&mut self.parameters[place], to.width(), units, &values);
            }
            // Bounds of channels, and the statistics of a normalisation. Where one has none, every
            // channel has the bound of the tensor.
            if to.channels.bytes() == of.channels.bytes() {
                self.parameters[range(to.channels)]
                    .copy_from_slice(&from.parameters[range(of.channels)]);
            }
            self.layers[i] = from.layers[k].without_momentum();
            if view.layer_parameters(i).0 > 0 {
                taken.push(layer.name.to_string());
            }
        }
        ensure!(
            !taken.is_empty(),
            "no layer of {} has name, kind and shape of one of {}: nothing can be taken over",
            from.name(),
            self.name()
        );
        Ok(taken)
    }

    /// The bytes with which a chip trains by these settings, beginning with this model, and the names of
    /// the layers that were taken over. [`Stored`] reads them.
    pub fn store(&self, compiled: &Compiled) -> Result<(Vec<u8>, Vec<String>)> {
        let plan = compiled.plan()?;
        ensure!(
            plan.stored_bytes() > 0,
            "{} reads no parameters where they are stored: say `stored: true` in `fixed:` for layers \
             that do not move, such as those with `update: nothing`",
            compiled.host.name
        );
        let mut workspace = Workspace::new(compiled)?;
        let mut trainer = workspace.trainer(compiled, Scalar, ())?;
        let mut fresh = Self {
            compiled: compiled.clone(),
            step: 0,
            layers: trainer.states().map(|state| state.memory()).collect(),
            parameters: trainer.persistent().to_vec(),
        };
        let taken = fresh.take_over(self)?;
        fresh.restore(&mut trainer)?;
        for (layer, plan) in compiled.graph.view().layers().iter().zip(plan.layers()) {
            let known = taken.iter().any(|name| name == layer.name.as_str());
            let reads = plan.stored_regions().into_iter().any(Region::is_stored);
            ensure!(
                known || !reads,
                "layer {} does not move and is read where it is stored, but {} has no layer of this \
                 name, kind and shape: name it as there, or let it move",
                layer.name,
                self.name()
            );
        }
        let mut buffer = vec![0; plan.stored_bytes()];
        let layers = &compiled.config.layers;
        let bytes = trainer.store(&plan, layers, &mut buffer).with_context(|| {
            format!("{} cannot be stored for {}", self.name(), compiled.host.name)
        })?;
        Stored::read(bytes).context("what was stored")?;
        let len = bytes.len();
        buffer.truncate(len);
        Ok((buffer, taken))
    }
}

/// The layer that has name, kind and shapes of layer `i`.
fn same_layer(view: GraphView<'_>, theirs: GraphView<'_>, i: usize) -> Option<usize> {
    let layer = view.layers().get(i)?;
    let k = theirs.layers().iter().position(|other| other.name == layer.name)?;
    let other = theirs.layers()[k];
    let alike = other.kind == layer.kind
        && other.shape == layer.shape
        && view.input_shape(i) == theirs.input_shape(k);
    alike.then_some(k)
}

/// Writes values in units of the second master copy in those of the first: rounded to nearest, ties to
/// even, and cut at its bound.
fn write(bytes: &mut [u8], width: Width, [to, of]: [Master; 2], values: &[i64]) {
    let shift = i32::from(to.exponent()) - i32::from(of.exponent());
    let format = Format { bits: width.bits(), round: Round::RndConv, overflow: Overflow::Sat };
    for (place, &value) in bytes.chunks_exact_mut(width.bytes()).zip(values) {
        let code = requantize(value, shift, format, 0).value;
        place.copy_from_slice(&code.to_le_bytes()[..width.bytes()]);
    }
}

#[cfg(test)]
mod tests {
    use fixgrad::{config::Init, stored::Aligned, trainer::Trainer};

    use super::*;
    use crate::{
        config::Experiment,
        data::SearchPath,
        run::{Batch, Job, Overrides, Session},
    };

    fn job(head: &str, fixed: &str) -> Job {
        let yaml = format!(
            "\
model:
  layers:
    - conv2d: {{ name: conv1, channels: 4, kernel: 3, stride: 2, padding: same }}
    - relu
    - conv2d: {{ name: conv2, channels: 6, kernel: 3 }}
    - relu
    - dense: {{ name: {head}, units: 10 }}
data: digits
train: {{ epochs: 1, batch: 32, lr: 0.25 }}
fixed: {fixed}
"
        );
        let experiment = Experiment::parse("tiny.yaml", &yaml).unwrap();
        Job::new(experiment, &SearchPath::new(None, None, None), Overrides::default()).unwrap()
    }

    fn trained() -> Model {
        let job = job("fc", "{ default: { master: { bits: 16, bound: 1 } } }");
        let mut workspace = Workspace::new(&job.compiled).unwrap();
        let mut session = Session::new(&job.compiled, &job.data, Scalar, &mut workspace).unwrap();
        session.epoch(|_| ()).unwrap();
        session.model()
    }

    const STILL: &str = "{ default: { stored: true }, by_name: { conv1: { update: nothing }, conv2: { \
                         update: bias } } }";

    #[test]
    fn a_chip_with_stored_parameters_learns_what_the_simulator_learns() {
        let (model, job) = (trained(), job("head", STILL));
        let compiled = &job.compiled;
        let (bytes, taken) = model.store(compiled).unwrap();
        assert_eq!(taken, ["conv1", "conv2"]);
        assert_eq!(bytes.len(), compiled.plan().unwrap().stored_bytes());
        assert!(compiled.plan().unwrap().ram() < compiled.plan_in_ram().unwrap().ram());

        let mut workspace = Workspace::new(compiled).unwrap();
        let mut simulator = Session::new(compiled, &job.data, Scalar, &mut workspace).unwrap();
        assert_eq!(simulator.begin_from(&model).unwrap(), taken);
        let mut place = Aligned([0; 8000]);
        place.0[..bytes.len()].copy_from_slice(&bytes);
        let stored = Stored::read(&place.0[..bytes.len()]).unwrap();
        let mut memory = vec![0u64; compiled.plan().unwrap().ram().div_ceil(8)];
        let memory = bytemuck::cast_slice_mut(&mut memory);
        let (graph, config) = (&compiled.graph, &compiled.config);
        let mut chip = Trainer::with_stored(graph, config, stored, memory, Scalar, (), 0).unwrap();
        let mut batch = Batch::new(&job.data);
        for step in 0..5 {
            batch.fill(32 * step..32 * (step + 1));
            let one = simulator.trainer.step(batch.samples(), batch.targets()).unwrap();
            assert_eq!(chip.step(batch.samples(), batch.targets()).unwrap(), one);
        }
        // What moves lies elsewhere, and is the same.
        let plans = [chip.plan().layers(), simulator.trainer.plan().layers()];
        let of = |bytes: &[u8], region: Region| bytes[range(region)].to_vec();
        for [lean, full] in
            [[plans[0][5].weight, plans[1][5].weight], [plans[0][3].bias, plans[1][3].bias]]
        {
            let learned = of(chip.persistent(), lean.master);
            assert_eq!(learned, of(simulator.trainer.persistent(), full.master));
        }
        assert!(plans[0][3].weight.master.is_stored());
    }

    #[test]
    fn what_cannot_be_taken_over_is_refused() {
        let model = trained();
        let all = job("fc", "{ default: { master: { bits: 16, bound: 1 } } }");
        let error = model.store(&all.compiled).unwrap_err().to_string();
        assert!(error.contains("stored: true"), "{error}");
        let fresh = Model { step: 0, ..trained() };
        let unknown = "{ default: { stored: true }, by_name: { other: { update: nothing } } }";
        let error = fresh.store(&job("other", unknown).compiled).unwrap_err().to_string();
        assert!(error.contains("layer other does not move"), "{error}");
    }

    #[test]
    fn values_go_into_other_units_and_storages() {
        let master = |width, bound| Master { width, bound, init: Init::Zero };
        let written = |to, of, values: &[i64]| {
            let mut bytes = [0; 8];
            write(&mut bytes[..to_bytes(to, values)], to.width, [to, of], values);
            bytes
        };
        fn to_bytes(to: Master, values: &[i64]) -> usize {
            values.len() * to.width.bytes()
        }
        let (byte, short) = (master(Width::I8, 0), master(Width::I16, 1));
        // Units of 2^-14 to 2^-7: ties to even, cut at the bound.
        let bytes = written(byte, short, &[64, 192, 193, -64, 32_767]);
        assert_eq!(
            bytes[..5].iter().map(|&b| b.cast_signed()).collect::<Vec<_>>(),
            [0, 2, 2, 0, 127]
        );
        let bytes = written(short, byte, &[1, -128]);
        assert_eq!(bytes[..4], [128, 0, 0, 0xc0]);
        // 32 bits hold the largest and the smallest.
        let word = master(Width::I32, 1);
        let bytes = written(word, short, &[32_767, -32_768]);
        assert_eq!(bytes, [0, 0, 0xff, 0x7f, 0, 0, 0, 0x80]);
        let bytes =
            written(word, master(Width::I32, 2), &[i64::from(i32::MAX), i64::from(i32::MIN)]);
        assert_eq!(bytes, [0xff, 0xff, 0xff, 0x7f, 0, 0, 0, 0x80]);
    }
}
