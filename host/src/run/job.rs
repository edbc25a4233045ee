//! What is to be trained: a compiled configuration and its data.

use std::{path::Path, sync::Arc};

use anyhow::Result;

use super::Model;
use crate::{
    config::{Compiled, DatasetFacts, Experiment},
    data::{Dataset, SearchPath},
};

/// What the command line says in place of the configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// Seed of every random number.
    pub seed: Option<u64>,
    /// Passes over the training samples.
    pub epochs: Option<u32>,
}

/// A compiled configuration and its data.
#[derive(Debug)]
pub struct Job {
    /// The configuration with nothing left open.
    pub compiled: Compiled,
    /// What the compiler had to say.
    pub notes: Vec<String>,
    /// The samples.
    pub data: Arc<Dataset>,
    /// What training begins with, in place of random numbers.
    pub init: Option<Model>,
}

impl Job {
    /// Reads a configuration file and its data. `data` is where data sets are looked for first.
    pub fn read(file: &Path, data: Option<&Path>, overrides: Overrides) -> Result<Self> {
        let places = SearchPath::from_env(data, Some(file));
        Self::new(Experiment::read(file)?, &places, overrides)
    }

    /// Loads the data of an experiment and compiles it.
    pub fn new(experiment: Experiment, places: &SearchPath, overrides: Overrides) -> Result<Self> {
        let data = experiment.load_data(places)?;
        Self::with_data(experiment, Arc::new(data), overrides)
    }

    /// Compiles an experiment for data that is loaded already.
    pub fn with_data(
        mut experiment: Experiment,
        data: Arc<Dataset>,
        overrides: Overrides,
    ) -> Result<Self> {
        let train = &mut experiment.sections.train;
        if let Some(seed) = overrides.seed {
            train.seed = Some(seed);
        }
        if let Some(epochs) = overrides.epochs {
            (train.epochs, train.steps) = (Some(i64::from(epochs).into()), None);
        }
        let (compiled, notes) = experiment.compile(&DatasetFacts::from(&*data))?;
        Ok(Self { compiled, notes, data, init: None })
    }
}
