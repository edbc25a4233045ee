//! `fixgrad eval`: a trained model on the test set.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use serde_json::json;

use super::output::print;
use crate::{
    config::DatasetFacts,
    data::{Dataset, SearchPath, Targets},
    kernel::best,
    report::{percent, significant},
    run::{Model, Origin, RunFolder, Session, Workspace, judge, record::Test},
};

/// Run a trained model over the test set.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The folder of a run, or a model.
    #[arg(value_name = "RUN_DIR|model.fxg")]
    model: PathBuf,
    /// Where data sets are looked for first.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Print one JSON object instead.
    #[arg(long)]
    json: bool,
}

/// Loads the model and its data, and prints how well they go together.
pub fn run(args: &Args) -> Result<()> {
    let (path, origin) = locate(&args.model)?;
    let model = Model::read(&path)?;
    let compiled = &model.compiled;
    let places = SearchPath::from_env(
        args.data.as_deref().or(origin.data.as_deref()),
        origin.config.as_deref(),
    );
    let data = compiled.host.data.load(&places)?;
    check(&model, &data).with_context(|| path.display().to_string())?;
    let mut workspace = Workspace::new(compiled)?;
    let kernel = best(1)?;
    let mut session = Session::new(compiled, &data, &kernel, &mut workspace)?;
    session.restore(&model).with_context(|| path.display().to_string())?;
    let test = judge(&mut session)?;
    print(&if args.json {
        json!({
            "config": compiled.host.name,
            "dataset": data.name,
            "samples": data.split.test.len(),
            "test_accuracy": test.accuracy,
            "test_loss": test.loss,
            "confusion": test.confusion,
            "step": model.step,
            "weights_sha256": model.sha256(),
        })
        .to_string()
    } else {
        text(&compiled.host.name, &data, &test)
    })
}

/// The model file that is meant, and where its run came from.
pub(super) fn locate(path: &Path) -> Result<(PathBuf, Origin)> {
    if path.is_dir() {
        let folder = RunFolder::open(path)?;
        let model = folder.model();
        // A run that goes on has a checkpoint and no model yet.
        let model = if model.is_file() { model } else { folder.checkpoint() };
        return Ok((model, folder.origin()?));
    }
    let origin = path.parent().and_then(|parent| RunFolder::open(parent).ok());
    Ok((path.to_owned(), origin.map_or(Ok(Origin::default()), |folder| folder.origin())?))
}

/// The data may have changed since the model was trained.
fn check(model: &Model, data: &Dataset) -> Result<()> {
    let facts = DatasetFacts::from(data);
    let layers = model.compiled.graph.view().layers();
    let elements = |layer: Option<&fixgrad::graph::Layer>| layer.map_or(0, |l| l.shape.elements());
    let (inputs, outputs) = (elements(layers.first()), elements(layers.last()));
    anyhow::ensure!(
        inputs == data.sample_len() && outputs == facts.outputs,
        "trained for samples of {inputs} numbers and {outputs} outputs; {} has samples of {} and \
         needs {} outputs",
        data.name,
        data.sample_len(),
        facts.outputs
    );
    Ok(())
}

fn text(name: &str, data: &Dataset, test: &Test) -> String {
    let mut out = format!("{name} on {} test samples of {}\n", data.split.test.len(), data.name);
    if test.accuracy.is_finite() {
        let _ = writeln!(out, "  {:<20} {} %", "test accuracy", percent(test.accuracy, 2));
    }
    let _ = writeln!(out, "  {:<20} {}", "test loss", significant(test.loss));
    let Targets::Classes { names, .. } = &data.targets else { return out };
    let longest = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
    let counts = test.confusion.iter().flatten().max().map_or(1, |most| most.to_string().len());
    let (label, cell) = (longest.min(16), longest.min(8).max(counts) + 1);
    let _ = writeln!(out, "\nrows: true class, columns: predicted class");
    let short = |name: &str, width: usize| name.chars().take(width).collect::<String>();
    let head: String = names.iter().map(|name| format!("{:>cell$}", short(name, 8))).collect();
    let _ = writeln!(out, "  {:<label$}{head}", "");
    for (name, row) in names.iter().zip(&test.confusion) {
        let dotted = |&count: &u32| if count == 0 { "·".to_owned() } else { count.to_string() };
        let row: String = row.iter().map(|count| format!("{:>cell$}", dotted(count))).collect();
        let _ = writeln!(out, "  {:<label$}{row}", short(name, 16));
    }
    out
}
