//! How a run ended, in a few lines or as JSON.

use std::fmt;

use anyhow::{Result, bail};
use serde::Serialize;

use super::{
    folder::RunFolder,
    record::{Record, Start},
};
use crate::report::{duration, grouped, percent, significant};

/// How a run ended. Accuracies are fractions, 0 to 1; where there are no classes they are not
/// numbers, and null in JSON.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// Name of the configuration.
    pub config: String,
    /// Seed of every random number.
    pub seed: u64,
    /// Name of the data set.
    pub dataset: String,
    /// Share of the test set that was classified rightly.
    pub test_accuracy: f64,
    /// Mean loss over the test set.
    pub test_loss: f64,
    /// Share of the validation set that was classified rightly after the last epoch.
    pub validation_accuracy: f64,
    /// Epochs that were trained.
    pub epochs: u32,
    /// Wall time of all training steps.
    pub train_seconds: f64,
    /// Training samples per second.
    pub samples_per_second: f64,
    /// Trainable parameters.
    pub parameters: usize,
    /// RAM that training needs on a chip.
    pub ram_bytes: usize,
    /// Flash that training needs on a chip, without code.
    pub flash_bytes: usize,
    /// SHA-256 of the final weights.
    pub weights_sha256: String,
    /// The folder of the run.
    pub run_dir: String,
    /// The report.
    pub report: String,
}

impl Summary {
    /// What the log of a finished run says.
    pub fn new(folder: &RunFolder, records: &[Record]) -> Result<Self> {
        let (mut start, mut epoch, mut test, mut end) = (None, None, None, None);
        for record in records {
            match record {
                Record::Start(record) => start = Some(record),
                Record::Epoch(record) => epoch = Some(record),
                Record::Test(record) => test = Some(record),
                Record::End(record) => end = Some(record),
            }
        }
        let (Some(start), Some(epoch), Some(test), Some(end)) = (start, epoch, test, end) else {
            bail!("{}: expected the log of a finished run", folder.metrics().display());
        };
        let Start { config, seed, dataset, parameters, ram_bytes, flash_bytes, .. } = start.clone();
        Ok(Self {
            config,
            seed,
            dataset,
            test_accuracy: test.accuracy,
            test_loss: test.loss,
            validation_accuracy: epoch.validation_accuracy,
            epochs: epoch.epoch,
            train_seconds: end.train_seconds,
            samples_per_second: end.samples_per_second,
            parameters,
            ram_bytes,
            flash_bytes,
            weights_sha256: end.weights_sha256.clone(),
            run_dir: folder.path().display().to_string(),
            report: folder.report().display().to_string(),
        })
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let accuracy = |share: f64| {
            if share.is_finite() { format!("{} %", percent(share, 2)) } else { "–".to_owned() }
        };
        let rows = [
            ("test accuracy", accuracy(self.test_accuracy)),
            ("validation accuracy", accuracy(self.validation_accuracy)),
            ("test loss", significant(self.test_loss)),
            (
                "training",
                format!(
                    "{} epochs in {}, {} samples/s",
                    self.epochs,
                    duration(self.train_seconds),
                    grouped(self.samples_per_second.round() as u64)
                ),
            ),
            (
                "on a chip",
                format!(
                    "{} bytes of RAM, {} bytes of flash besides code",
                    grouped(self.ram_bytes as u64),
                    grouped(self.flash_bytes as u64)
                ),
            ),
            ("weights SHA-256", self.weights_sha256.clone()),
            ("report", self.report.clone()),
        ];
        writeln!(f, "{} on {}, seed {}", self.config, self.dataset, self.seed)?;
        for (name, value) in rows {
            writeln!(f, "  {name:<20} {value}")?;
        }
        Ok(())
    }
}
