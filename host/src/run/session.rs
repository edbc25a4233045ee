//! A trainer at work on a data set.

use std::time::{Duration, Instant};

use anyhow::Result;
use fixgrad::{
    config::Config,
    graph::Graph,
    kernel::Kernel,
    loss::Loss,
    optim::Lr,
    rng::{Key, Permutation},
    trainer::{LayerState, SetupError, StepError, Tally, Trainer},
};

use super::{
    batch::{Batch, Loader, Pick},
    model::{Model, ModelError},
    probe::{self, Sightings},
};
use crate::{
    config::{Compiled, MAX_LAYERS, in_ram},
    data::{Dataset, Draws, Targets},
};

/// 32-bit sums in memory at once: enough for most layers in one piece. No result depends on it.
const TILE: usize = 1 << 22;
/// The stream of random numbers that orders the samples. No step has this number.
const SHUFFLE: u32 = u32::MAX;
/// The stream of an epoch that augments its samples. Its order uses children from 0 on.
const AUGMENT: u32 = u32::MAX;

/// The memory that a session trains in, and the settings with which all parameters lie there.
#[derive(Debug)]
pub struct Workspace {
    memory: Vec<u64>,
    config: Config<MAX_LAYERS>,
}

impl Workspace {
    /// Enough for this configuration.
    pub fn new(compiled: &Compiled) -> Result<Self, SetupError> {
        Self::for_strategy(&compiled.graph, &compiled.config, &())
    }

    pub(crate) fn for_strategy<S: fixgrad::strategy::Strategy>(
        graph: &Graph<MAX_LAYERS>,
        config: &Config<MAX_LAYERS>,
        strategy: &S,
    ) -> Result<Self, SetupError> {
        type Planner<S> = Trainer<'static, MAX_LAYERS, fixgrad::kernel::Scalar, S>;
        let config = in_ram(config);
        let plan = Planner::<S>::plan_for(graph, &config, strategy, TILE)?;
        Ok(Self { memory: vec![0; plan.ram().div_ceil(8)], config })
    }

    pub(crate) fn trainer<'a, K: Kernel, S: fixgrad::strategy::Strategy>(
        &'a mut self,
        compiled: &'a Compiled,
        kernel: K,
        strategy: S,
    ) -> Result<Trainer<'a, MAX_LAYERS, K, S>, SetupError> {
        let memory = bytemuck::cast_slice_mut(&mut self.memory);
        Trainer::with_tile(&compiled.graph, &self.config, memory, kernel, strategy, TILE)
    }
}

/// What an epoch did.
#[derive(Clone, Copy, Debug)]
pub struct EpochOutcome {
    /// Loss and right answers of its training samples, each before its step.
    pub tally: Tally,
    /// Learning rate of the last step.
    pub lr: Lr,
    /// Wall time of its steps.
    pub time: Duration,
}

/// A trainer at work on a data set.
#[derive(Debug)]
pub struct Session<'a, K> {
    pub(crate) compiled: &'a Compiled,
    pub(crate) data: &'a Dataset,
    pub(crate) trainer: Trainer<'a, MAX_LAYERS, K, ()>,
    pub(crate) batch: Batch<'a>,
    loader: Loader<'a>,
    kernel: K,
}

impl<'a, K: Kernel + Copy + Send> Session<'a, K> {
    /// A session with freshly initialised weights.
    pub fn new(
        compiled: &'a Compiled,
        data: &'a Dataset,
        kernel: K,
        workspace: &'a mut Workspace,
    ) -> Result<Self, SetupError> {
        let trainer = workspace.trainer(compiled, kernel, ())?;
        Ok(Self {
            compiled,
            data,
            trainer,
            batch: Batch::new(data),
            loader: Loader::new(data),
            kernel,
        })
    }

    /// Answers that a sample has, each right or wrong; none where outputs are quantities.
    pub(crate) fn answers(&self) -> usize {
        let classes = matches!(self.data.targets, Targets::Classes { .. });
        Loss::of(&self.compiled.config.train).answers(classes, self.data.outputs())
    }

    /// Steps of a whole epoch: as many whole batches as there are.
    pub fn steps_per_epoch(&self) -> u32 {
        let batch = usize::from(self.compiled.config.train.batch.max(1));
        (self.data.split.train.len() / batch).max(1) as u32
    }

    /// Steps of the whole run.
    pub fn steps(&self) -> u32 {
        let samples = self.data.split.train.len();
        self.compiled.host.length.steps(samples, self.compiled.config.train.batch)
    }

    /// Epochs of the whole run; the last one may be shorter.
    pub fn epochs(&self) -> u32 {
        self.steps().div_ceil(self.steps_per_epoch())
    }

    /// Epochs that are done.
    pub fn epochs_done(&self) -> u32 {
        self.trainer.steps().div_ceil(self.steps_per_epoch())
    }

    /// Trains the next epoch. `after_step` hears how many of its steps are done.
    pub fn epoch(&mut self, mut after_step: impl FnMut(u32) + Send) -> Result<EpochOutcome> {
        let (steps, order) = (self.steps_to_do(), self.order(self.epochs_done()));
        self.trainer.reset_counters();
        let begin = Instant::now();
        let (mut tally, mut lr) = (Tally::default(), Lr::ZERO);
        let trainer = &mut self.trainer;
        self.loader.each(
            steps,
            |step| order.step(step),
            |step, batch| {
                let record = trainer.step(batch.samples(), batch.targets())?;
                tally += record.tally;
                lr = record.lr;
                after_step(step + 1);
                Ok::<_, StepError>(())
            },
        )?;
        Ok(EpochOutcome { tally, lr, time: begin.elapsed() })
    }

    /// Bounds and counters of the trainer, one entry a layer.
    pub fn states(&self) -> Vec<LayerState> {
        self.trainer.states().collect()
    }

    /// Steps of the epoch at hand; the last one may be shorter.
    pub(crate) fn steps_to_do(&self) -> u32 {
        self.steps_per_epoch().min(self.steps() - self.trainer.steps())
    }

    /// The order of the samples in an epoch.
    pub(crate) fn order(&self, epoch: u32) -> Order<'a> {
        let train = self.compiled.config.train;
        Order::new(self.data, train.seed, train.batch, epoch)
    }

    /// Loss and right answers of the validation set, if there is one.
    pub fn validate(&mut self) -> Result<Option<Tally>> {
        if self.data.split.validation.is_empty() {
            return Ok(None);
        }
        self.batch.fill(self.data.split.validation.iter().copied());
        Ok(Some(self.trainer.evaluate(self.batch.samples(), self.batch.targets())?))
    }

    /// What goes into the points in the step that comes next, seen on a copy: training does not
    /// notice.
    pub(crate) fn observe(&mut self) -> Result<Sightings> {
        self.batch.fill(self.order(self.epochs_done()).step(0));
        probe::observe(&self.model(), self.kernel, &self.batch)
    }

    /// The state as it is now.
    pub fn model(&self) -> Model {
        Model {
            compiled: self.compiled.clone(),
            step: self.trainer.steps(),
            layers: self.trainer.states().map(|state| state.memory()).collect(),
            parameters: self.trainer.persistent().to_vec(),
        }
    }

    /// Begins with the parameters of a model as far as it has the same layers; returns their names. The
    /// others begin as they would without it.
    pub fn begin_from(&mut self, model: &Model) -> Result<Vec<String>> {
        let mut fresh = self.model();
        let taken = fresh.take_over(model)?;
        self.restore(&fresh)?;
        Ok(taken)
    }

    /// Goes on from a state of this configuration.
    pub fn restore(&mut self, model: &Model) -> Result<(), ModelError> {
        model.restore(&mut self.trainer)
    }
}

/// The training samples of one epoch: their order, and what happens to each.
#[derive(Debug)]
pub(crate) struct Order<'d> {
    samples: &'d [u32],
    places: Permutation,
    draws: Option<Draws>,
    batch: u32,
}

impl<'d> Order<'d> {
    /// The order in epoch `epoch` of a run with this seed.
    pub(crate) fn new(data: &'d Dataset, seed: u64, batch: u16, epoch: u32) -> Self {
        let samples = data.split.train.as_slice();
        let key = Key::new(seed).child(SHUFFLE).child(epoch);
        let draws = data.augment.map(|augment| Draws::new(augment, data.shape, key.child(AUGMENT)));
        let places = Permutation::new(key, samples.len() as u32);
        Self { samples, places, draws, batch: batch.into() }
    }

    /// The samples of a step of the epoch.
    pub(crate) fn step(&self, step: u32) -> impl Iterator<Item = Pick> {
        let places = step * self.batch..(step + 1) * self.batch;
        places.map(|place| {
            let index = self.samples[self.places.at(place) as usize];
            Pick { index, change: self.draws.map(|draws| draws.of(index)) }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Augment, DataConfig, Flip, SearchPath, Source};

    fn digits(augment: Option<Augment>) -> Dataset {
        let config = DataConfig { augment: augment.map(Into::into), ..Source::Digits.into() };
        config.load(&SearchPath::new(None, None, None)).unwrap()
    }

    fn picks(data: &Dataset, batch: u16, epoch: u32) -> Vec<Pick> {
        let order = Order::new(data, 5, batch, epoch);
        (0..1280 / u32::from(batch)).flat_map(|step| order.step(step).collect::<Vec<_>>()).collect()
    }

    #[test]
    fn a_change_belongs_to_sample_and_epoch_and_not_to_the_batch() {
        let all = Augment { flip: Some(Flip::Horizontal), crop: Some(2), cutout: Some(3) };
        let data = digits(Some(all));
        let first = picks(&data, 32, 0);
        assert_eq!(first, picks(&data, 128, 0));
        let plain = digits(None);
        let indices = |picks: &[Pick]| picks.iter().map(|pick| pick.index).collect::<Vec<_>>();
        assert_eq!(indices(&first), indices(&picks(&plain, 32, 0)), "the order stays");
        let sorted = |mut picks: Vec<Pick>| {
            picks.sort_by_key(|pick| pick.index);
            picks
        };
        let (first, second) = (sorted(first), sorted(picks(&data, 32, 1)));
        let same = first.iter().zip(&second).filter(|(a, b)| a == b).count();
        assert!(same < 20, "{same} samples are the same in two epochs");
    }
}
