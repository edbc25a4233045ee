//! A grid over settings of a configuration: every combination is trained with every seed.
//!
//! A finished cell stays as a JSON file whose name is a hash of its resolved configuration, so a
//! sweep that was cut off, or that is made larger, trains only what is missing.

mod cell;
mod grid;
mod table;

use std::{
    collections::VecDeque,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use anyhow::{Context, Result};

pub use cell::{Cell, CellResult};
pub use grid::{Grid, Setting};
pub use table::{Row, Spread, csv, page, rows, text};

use crate::{
    config::Experiment,
    data::{DataConfig, Dataset, SearchPath},
    files,
    run::{Job, Overrides, Progress},
};

/// Trains all cells of a grid on so many threads; finished ones are taken from `folder`.
pub fn run(
    file: &Path,
    data: Option<&Path>,
    grid: &Grid,
    folder: &Path,
    jobs: usize,
) -> Result<Vec<Cell>> {
    let kept = folder.join("cells");
    std::fs::create_dir_all(&kept)
        .with_context(|| format!("the folder {} cannot be made", kept.display()))?;
    // Everything is compiled before anything is trained: a bad value shows at once.
    let mut cells = compile(file, data, grid)?;
    let mut open = VecDeque::new();
    let mut finished = 0;
    for (index, (cell, job)) in cells.iter_mut().enumerate() {
        cell.result = cell::read(&kept, job)?;
        match cell.result {
            Some(_) => finished += 1,
            None => open.push_back(index),
        }
    }
    let progress = Mutex::new((Progress::new(cells.len() as u64, "runs"), finished));
    if finished > 0 {
        tracing::info!("{finished} of {} runs are finished already", cells.len());
    }
    let open = Mutex::new(open);
    let results = thread::scope(|scope| {
        let worker = || -> Result<Vec<(usize, CellResult)>> {
            let mut results = Vec::new();
            loop {
                let Some(index) = lock(&open).pop_front() else { return Ok(results) };
                let (cell, job) = &cells[index];
                let trained = cell::train(job).and_then(|result| {
                    files::replace(&cell::path(&kept, job)?, &serde_json::to_vec(&result)?)?;
                    Ok(result)
                });
                let result = match trained {
                    Ok(result) => result,
                    Err(error) => {
                        // The other workers need not start anything new.
                        lock(&open).clear();
                        return Err(error.context(cell.label()));
                    }
                };
                let (progress, finished) = &mut *lock(&progress);
                *finished += 1;
                progress.at(*finished);
                progress.tell(*finished == cells.len() as u64, || {
                    format!("{finished}/{}: {}: {}", cells.len(), cell.label(), result.words())
                });
                results.push((index, result));
            }
        };
        let workers: Vec<_> = (0..jobs.max(1)).map(|_| scope.spawn(worker)).collect();
        let mut results = Vec::new();
        for worker in workers {
            let done = worker.join().map_err(|_| anyhow::anyhow!("a training thread failed"))?;
            results.extend(done?);
        }
        anyhow::Ok(results)
    })?;
    lock(&progress).0.finish();
    for (index, result) in results {
        cells[index].0.result = Some(result);
    }
    Ok(cells.into_iter().map(|(cell, _)| cell).collect())
}

fn compile(file: &Path, data: Option<&Path>, grid: &Grid) -> Result<Vec<(Cell, Job)>> {
    let base = Experiment::read(file)?;
    let text = String::from_utf8(files::read(file, 1 << 20)?)?;
    let places = SearchPath::from_env(data, Some(file));
    let mut loaded: Vec<(DataConfig, Arc<Dataset>)> = Vec::new();
    let mut cells = Vec::new();
    for settings in grid.combinations() {
        let mut experiment = grid::apply(&text, &file.display().to_string(), &settings)?;
        experiment.sections.name = Some(base.name());
        let wanted = experiment.data().clone();
        let known = loaded.iter().find(|(config, _)| *config == wanted).map(|(_, set)| set.clone());
        let set = match known {
            Some(set) => set,
            None => {
                let set = Arc::new(experiment.load_data(&places)?);
                loaded.push((wanted, set.clone()));
                set
            }
        };
        let own = experiment.sections.train.seed.unwrap_or(0);
        let seeds = if grid.seeds.is_empty() { vec![own] } else { grid.seeds.clone() };
        for seed in seeds {
            let overrides = Overrides { seed: Some(seed), epochs: None };
            let job = Job::with_data(experiment.clone(), set.clone(), overrides)?;
            cells.push((Cell { settings: settings.clone(), seed, result: None }, job));
        }
    }
    Ok(cells)
}

/// A thread that panicked leaves nothing half-done behind these locks.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
