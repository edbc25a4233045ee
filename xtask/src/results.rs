//! `cargo xtask results`: trains configurations over several seeds and keeps the table in
//! `docs/results.md` true.
//!
//! A finished run stays in `runs/results/CONFIG/SEED.json`, so that an interrupted table is
//! continued. The runs of a configuration that was edited since are done again.

mod table;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use fixgrad_host::files;
use serde::Deserialize;

use crate::project::Project;
use crate::sim::fixgrad;

const PAGE: &str = "docs/results.md";
const RUNS: &str = "runs/results";

/// The command line of `cargo xtask results`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The experiments: YAML files, or names of files in configs/ [default: all in configs/].
    #[arg(value_name = "CONFIG")]
    configs: Vec<PathBuf>,
    /// The seeds to train with.
    #[arg(long, value_name = "N,N,...", value_delimiter = ',', default_value = DEFAULT_SEEDS)]
    seeds: Vec<u64>,
    /// Folder with the data sets.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Train again also where a finished run exists.
    #[arg(long)]
    fresh: bool,
}

const DEFAULT_SEEDS: &str = "0,1,2,3,4";

/// The last line that `fixgrad train --json` prints. Only what the table shows is read.
#[derive(Clone, Debug, PartialEq, Deserialize)]
struct Run {
    seed: u64,
    /// A fraction of 1.
    test_accuracy: f64,
    train_seconds: f64,
    samples_per_second: f64,
    ram_bytes: u64,
    flash_bytes: u64,
}

/// Trains a configuration with a seed and hands back what the program printed.
type Train<'a> = dyn FnMut(&Path, u64) -> Result<String> + 'a;

/// Trains what is missing, then rewrites the rows of the configurations that are complete.
pub(crate) fn run(project: &Project, args: &Args) -> Result<()> {
    let configs = configs(project, &args.configs)?;
    let data = args.data.as_deref().map(|data| project.locate(data));
    let mut train = |config: &Path, seed: u64| -> Result<String> {
        let command = fixgrad(project).arg("train").arg(config);
        let command = command.arg("--seed").arg(seed.to_string()).arg("--json");
        let command = match &data {
            Some(data) => command.arg("--data").arg(data),
            None => command,
        };
        eprintln!("$ {command}");
        Ok(command.read()?)
    };

    let page = Path::new(PAGE);
    let mut failed = Vec::new();
    for config in &configs {
        match collect(Path::new(RUNS), config, &args.seeds, args.fresh, &mut train) {
            // One configuration at a time, so that a later failure loses no finished row.
            Ok(runs) => update_page(page, &row(config, &args.seeds, &runs)?)?,
            Err(error) => {
                eprintln!("error: {}: {error:#}", config.display());
                failed.push(config.display().to_string());
            }
        }
    }
    ensure!(
        failed.is_empty(),
        "no new row for {}; run the same command again to continue",
        failed.join(", ")
    );
    eprintln!("results: {PAGE} is up to date");
    Ok(())
}

fn configs(project: &Project, asked: &[PathBuf]) -> Result<Vec<PathBuf>> {
    if !asked.is_empty() {
        return Ok(asked.iter().map(|config| project.locate_config(config)).collect());
    }
    let mut configs = Vec::new();
    for entry in fs::read_dir("configs").context("cannot read the folder configs/")? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            configs.push(path);
        }
    }
    ensure!(!configs.is_empty(), "configs/ holds no .yaml file: name a configuration");
    configs.sort();
    Ok(configs)
}

/// The runs of one configuration, one per seed: finished ones are read, the others are trained.
fn collect(
    folder: &Path,
    config: &Path,
    seeds: &[u64],
    fresh: bool,
    train: &mut Train<'_>,
) -> Result<Vec<Run>> {
    let recipe = fs::read_to_string(config)
        .with_context(|| format!("cannot read the configuration {}", config.display()))?;
    let folder = folder.join(name(config)?);
    let kept_recipe = folder.join("config.yaml");
    let same_recipe = fs::read_to_string(&kept_recipe).is_ok_and(|kept| kept == recipe);
    if folder.exists() && (fresh || !same_recipe) {
        fs::remove_dir_all(&folder)
            .with_context(|| format!("cannot remove the old runs in {}", folder.display()))?;
    }
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    files::replace(&kept_recipe, recipe.as_bytes())?;

    let mut runs = Vec::new();
    for &seed in seeds {
        let file = folder.join(format!("{seed}.json"));
        let kept = fs::read_to_string(&file).ok().and_then(|line| parse(&line, seed).ok());
        let run = match kept {
            Some(run) => {
                eprintln!(
                    "results: {} seed {seed}: kept from {}",
                    config.display(),
                    file.display()
                );
                run
            }
            None => {
                let printed = train(config, seed)?;
                let line = printed.lines().last().unwrap_or_default();
                let run = parse(line, seed)?;
                files::replace(&file, format!("{line}\n").as_bytes())?;
                run
            }
        };
        runs.push(run);
    }
    Ok(runs)
}

fn parse(line: &str, seed: u64) -> Result<Run> {
    let run: Run = serde_json::from_str(line).with_context(|| {
        format!("the last line of `fixgrad train --json` should be its results, found {line:?}")
    })?;
    if run.seed != seed {
        bail!("asked for seed {seed}, the results say seed {}", run.seed);
    }
    if !(0.0..=1.0).contains(&run.test_accuracy) {
        bail!("`test_accuracy` should be a fraction from 0 to 1, found {}", run.test_accuracy);
    }
    Ok(run)
}

fn name(config: &Path) -> Result<String> {
    let stem = config.file_stem().and_then(|stem| stem.to_str());
    Ok(stem.with_context(|| format!("{} has no readable name", config.display()))?.to_owned())
}

fn row(config: &Path, seeds: &[u64], runs: &[Run]) -> Result<table::Row> {
    let name = name(config)?;
    let in_configs = config == Path::new("configs").join(&name).with_extension("yaml");
    let mut command = format!("cargo xtask results {}", config.display());
    if in_configs {
        command = format!("cargo xtask results {name}");
    }
    let seeds = seeds.iter().map(u64::to_string).collect::<Vec<_>>().join(",");
    if seeds != DEFAULT_SEEDS {
        command.push_str(&format!(" --seeds {seeds}"));
    }
    Ok(table::Row::new(name, command, runs))
}

fn update_page(path: &Path, row: &table::Row) -> Result<()> {
    let page = if path.exists() {
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?
    } else {
        table::new_page()
    };
    let page = table::with_row(&page, row).with_context(|| path.display().to_string())?;
    files::replace(path, page.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(seed: u64, test_accuracy: f64) -> String {
        format!(
            "{{\"config\":\"a\",\"seed\":{seed},\"test_accuracy\":{test_accuracy},\
             \"validation_accuracy\":0.9,\"epochs\":3,\"train_seconds\":2.5,\
             \"samples_per_second\":1e5,\"ram_bytes\":8192,\"flash_bytes\":4096,\
             \"weights_sha256\":\"00\"}}"
        )
    }

    struct Bench {
        folder: tempfile::TempDir,
        config: PathBuf,
    }

    impl Bench {
        fn new() -> Bench {
            let folder = tempfile::tempdir().expect("a folder");
            let config = folder.path().join("a.yaml");
            fs::write(&config, "# one\n").expect("a configuration");
            Bench { folder, config }
        }

        /// Collects and tells which seeds were trained.
        fn collect(&self, seeds: &[u64], fresh: bool) -> (Vec<Run>, Vec<u64>) {
            let mut trained = Vec::new();
            let mut train = |_: &Path, seed: u64| {
                trained.push(seed);
                Ok(format!("epoch 1\n{}\n", line(seed, 0.98)))
            };
            let runs = collect(self.folder.path(), &self.config, seeds, fresh, &mut train);
            (runs.expect("runs"), trained)
        }
    }

    #[test]
    fn finished_runs_are_not_repeated() {
        let bench = Bench::new();
        assert_eq!(bench.collect(&[0, 1], false).1, [0, 1]);
        let (runs, trained) = bench.collect(&[0, 1, 2], false);
        assert_eq!(trained, [2]);
        assert_eq!(runs.iter().map(|run| run.seed).collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(bench.collect(&[0, 1], true).1, [0, 1]);
    }

    #[test]
    fn an_edited_configuration_or_a_damaged_run_is_trained_again() {
        let bench = Bench::new();
        bench.collect(&[0, 1], false);
        fs::write(&bench.config, "# two\n").expect("edited");
        assert_eq!(bench.collect(&[0], false).1, [0]);
        fs::write(bench.folder.path().join("a/0.json"), "{").expect("damaged");
        assert_eq!(bench.collect(&[0], false).1, [0]);
    }

    #[test]
    fn a_failed_seed_keeps_those_before_it() {
        let bench = Bench::new();
        let mut train = |_: &Path, seed: u64| {
            if seed == 1 { bail!("no memory") } else { Ok(line(seed, 0.98)) }
        };
        let seeds = [0, 1, 2];
        let result = collect(bench.folder.path(), &bench.config, &seeds, false, &mut train);
        assert_eq!(result.expect_err("a failure").to_string(), "no memory");
        assert_eq!(bench.collect(&seeds, false).1, [1, 2]);
    }

    #[test]
    fn results_that_cannot_be_true_are_refused() {
        let cases = [
            ("Done.".to_owned(), "should be its results, found \"Done.\""),
            (line(3, 0.98), "asked for seed 0, the results say seed 3"),
            (line(0, 98.0), "should be a fraction from 0 to 1, found 98"),
        ];
        for (line, message) in cases {
            let error = parse(&line, 0).expect_err("refused");
            assert!(format!("{error:#}").contains(message), "{error:#}");
        }
    }

    #[test]
    fn the_page_is_made_when_it_is_missing() {
        let bench = Bench::new();
        let (runs, _) = bench.collect(&[0], false);
        let page = bench.folder.path().join("results.md");
        update_page(&page, &row(&bench.config, &[0], &runs).expect("a row")).expect("written");
        let text = fs::read_to_string(&page).expect("a page");
        assert!(text.contains("| `a` | 1 | 98.00 | 98.00 | 98.00 | 2.5 |"), "{text}");
        assert!(text.contains("a.yaml --seeds 0` |"), "{text}");
    }
}
