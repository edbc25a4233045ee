//! One run of a sweep.

use std::path::{Path, PathBuf};

use anyhow::Result;
use hmac_sha256::Hash;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tracing::warn;

use super::grid::label;
use crate::{
    files,
    kernel::best,
    report::percent,
    run::{Footprint, Job, Session, Workspace, judge, means},
};

/// One run of a sweep.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    /// The settings that the sweep chose.
    pub settings: Vec<(String, Value)>,
    /// The seed.
    pub seed: u64,
    /// How it ended, once it has.
    pub result: Option<CellResult>,
}

impl Cell {
    /// The cell in words.
    pub fn label(&self) -> String {
        let seed = format!("seed {}", self.seed);
        if self.settings.is_empty() { seed } else { format!("{}, {seed}", label(&self.settings)) }
    }
}

/// How a run of a sweep ended. Accuracies are fractions; `None` where answers are quantities.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CellResult {
    /// Share of the test set that was classified rightly.
    pub test_accuracy: Option<f64>,
    /// Mean loss over the test set.
    pub test_loss: Option<f64>,
    /// Share of the validation set that was classified rightly.
    pub validation_accuracy: Option<f64>,
    /// Wall time of all training steps.
    pub train_seconds: f64,
    /// RAM that training needs on a chip.
    pub ram_bytes: usize,
    /// Flash that training needs on a chip, without code.
    pub flash_bytes: usize,
    /// SHA-256 of the final weights.
    pub weights_sha256: String,
}

impl CellResult {
    pub(super) fn words(&self) -> String {
        match self.test_accuracy {
            Some(share) => format!("{} %", percent(share, 2)),
            None => format!("loss {:.4}", self.test_loss.unwrap_or(f64::NAN)),
        }
    }
}

/// The file of a cell: its name holds all that decides the result.
pub(super) fn path(folder: &Path, job: &Job) -> Result<PathBuf> {
    let mut digest = Hash::new();
    digest.update(env!("CARGO_PKG_VERSION"));
    digest.update(job.compiled.to_yaml()?);
    let name: String = digest.finalize().iter().take(12).map(|b| format!("{b:02x}")).collect();
    Ok(folder.join(format!("{name}.json")))
}

/// What is kept of a finished cell. A file that cannot be read is done again.
pub(super) fn read(folder: &Path, job: &Job) -> Result<Option<CellResult>> {
    let path = path(folder, job)?;
    if !path.exists() {
        return Ok(None);
    }
    let result = serde_json::from_slice(&files::read(&path, 1 << 16)?);
    if let Err(error) = &result {
        warn!("{} is damaged ({error}): training it again", path.display());
    }
    Ok(result.ok())
}

/// Trains a cell, on this thread alone.
pub(super) fn train(job: &Job) -> Result<CellResult> {
    let footprint = Footprint::of(&job.compiled)?;
    let mut workspace = Workspace::new(&job.compiled)?;
    let kernel = best(1)?;
    let mut session = Session::new(&job.compiled, &job.data, &kernel, &mut workspace)?;
    let mut seconds = 0.0;
    while session.epochs_done() < session.epochs() {
        seconds += session.epoch(|_| ())?.time.as_secs_f64();
    }
    let answers = session.answers();
    let validation = session.validate()?.map(|tally| means(tally, answers).1);
    let test = judge(&mut session)?;
    let number = |value: f64| value.is_finite().then_some(value);
    Ok(CellResult {
        test_accuracy: number(test.accuracy),
        test_loss: number(test.loss),
        validation_accuracy: validation.and_then(number),
        train_seconds: seconds,
        ram_bytes: footprint.ram_bytes,
        flash_bytes: footprint.flash_bytes,
        weights_sha256: session.model().sha256(),
    })
}
