//! A configuration file as it is written.

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    at::At,
    diagnostics::{Diagnostic, Diagnostics},
    fixed::Fixed,
    model::Model,
    strategies::StrategyKeys,
    train::TrainKeys,
    yaml,
};
use crate::data::{DataConfig, Dataset, SearchPath};

/// The sections of a configuration file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sections {
    /// What the experiment is called; by default as the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The network.
    pub model: Model,
    /// Where the samples come from.
    pub data: At<DataConfig>,
    /// Optimiser, batch, loss and seed.
    pub train: TrainKeys,
    /// How numbers are quantised. By default 8 bits at every point.
    #[serde(default)]
    pub fixed: Fixed,
    /// What happens around the points, the outermost first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub strategies: Vec<At<StrategyKeys>>,
}

/// A configuration file that was read: its sections, and its text for later errors.
#[derive(Clone, Debug)]
pub struct Experiment {
    pub(super) file: String,
    pub(super) text: String,
    /// What is written in it.
    pub sections: Sections,
}

impl Experiment {
    /// Reads the text of a file. `file` is what errors call it, and gives the name when the text
    /// does not.
    pub fn parse(file: &str, text: &str) -> Result<Self, Diagnostics> {
        let sections = yaml::parse(file, text)?;
        Ok(Self { file: file.to_owned(), text: text.to_owned(), sections })
    }

    /// Reads a file.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let bytes = crate::files::read(path, yaml::LARGEST)?;
        let file = path.display().to_string();
        let text = String::from_utf8(bytes).map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            anyhow::anyhow!("{file}: byte {at} is not UTF-8: expected a YAML file as plain text")
        })?;
        Ok(Self::parse(&file, &text)?)
    }

    /// What the experiment is called.
    pub fn name(&self) -> String {
        let stem = || Path::new(&self.file).file_stem().map(|stem| stem.to_string_lossy().into());
        self.sections.name.clone().or_else(stem).unwrap_or_else(|| "experiment".to_owned())
    }

    /// Where the samples come from.
    pub const fn data(&self) -> &DataConfig {
        &self.sections.data.value
    }

    /// Loads the samples, and makes sure that what shall be done to them can be done.
    pub fn load_data(&self, places: &SearchPath) -> anyhow::Result<Dataset> {
        let data = self.data().load(places)?;
        if let Some(augment) = &self.data().augment
            && let Err((message, help)) = augment.value.check(data.shape)
        {
            let item = Diagnostic::new(augment.span(), message, help);
            return Err(Diagnostics::new(&self.file, &self.text, vec![item]).into());
        }
        Ok(data)
    }
}
