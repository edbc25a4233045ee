//! The results of a sweep: a table, a CSV file and a plot.

use std::fmt::Write as _;

use anyhow::Result;
use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    cell::Cell,
    grid::{label, word},
};
use crate::report::{
    percent,
    sweep_plot::{Series, accuracy_page},
};

/// Mean, smallest and largest over the seeds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// Mean.
    pub mean: f64,
    /// Smallest.
    pub min: f64,
    /// Largest.
    pub max: f64,
}

impl Spread {
    fn of(values: impl IntoIterator<Item = Option<f64>>) -> Option<Self> {
        let values: Option<Vec<f64>> = values.into_iter().collect();
        let values = values.filter(|values| !values.is_empty())?;
        Some(Self {
            mean: values.iter().sum::<f64>() / values.len() as f64,
            min: values.iter().copied().fold(f64::INFINITY, f64::min),
            max: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        })
    }
}

/// One combination of settings over its seeds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// The settings.
    pub settings: Map<String, Value>,
    /// The seeds.
    pub seeds: Vec<u64>,
    /// Accuracy on the test set, if there are classes.
    pub test_accuracy: Option<Spread>,
    /// Loss on the test set.
    pub test_loss: Option<Spread>,
    /// Accuracy on the validation set, if there are both.
    pub validation_accuracy: Option<Spread>,
    /// Wall time of training.
    pub train_seconds: Option<Spread>,
}

/// The rows of finished cells, in their order.
pub fn rows(cells: &[Cell]) -> Vec<Row> {
    cells
        .chunk_by(|a, b| a.settings == b.settings)
        .map(|cells| {
            let results = || cells.iter().filter_map(|cell| cell.result.as_ref());
            let settings = cells.first().map(|cell| cell.settings.iter().cloned().collect());
            Row {
                settings: settings.unwrap_or_default(),
                seeds: cells.iter().map(|cell| cell.seed).collect(),
                test_accuracy: Spread::of(results().map(|r| r.test_accuracy)),
                test_loss: Spread::of(results().map(|r| r.test_loss)),
                validation_accuracy: Spread::of(results().map(|r| r.validation_accuracy)),
                train_seconds: Spread::of(results().map(|r| Some(r.train_seconds))),
            }
        })
        .collect()
}

/// The table for people.
pub fn text(rows: &[Row]) -> String {
    let keys: Vec<&String> =
        rows.first().map(|row| row.settings.keys().collect()).unwrap_or_default();
    let classes = rows.iter().any(|row| row.test_accuracy.is_some());
    let mut head: Vec<String> = keys.iter().map(|key| key.to_string()).collect();
    let names = if classes {
        ["test %", "min", "max", "validation %"]
    } else {
        ["test loss", "min", "max", "seconds"]
    };
    head.extend(names.map(str::to_owned));
    let mut lines = vec![head];
    let share = |value: f64| percent(value, 2);
    let plain = |value: f64| format!("{value:.4}");
    for row in rows {
        let mut line: Vec<String> = row.settings.values().map(word).collect();
        let (main, other, show): (_, _, &dyn Fn(f64) -> String) = if classes {
            (row.test_accuracy, row.validation_accuracy, &share)
        } else {
            (row.test_loss, row.train_seconds, &plain)
        };
        let cell = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), show);
        line.extend([main.map(|s| s.mean), main.map(|s| s.min), main.map(|s| s.max)].map(cell));
        line.push(cell(other.map(|s| s.mean)));
        lines.push(line);
    }
    let columns = lines.first().map_or(0, Vec::len);
    let width = |column: usize| lines.iter().map(|l| l[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut out = String::new();
    for line in &lines {
        for (column, (cell, width)) in line.iter().zip(&widths).enumerate() {
            let _ = if column < keys.len() {
                write!(out, "{cell:<width$}   ")
            } else {
                write!(out, "{cell:>width$}   ")
            };
        }
        out.truncate(out.trim_end().len());
        out.push('\n');
    }
    out
}

/// One line for every run.
pub fn csv(cells: &[Cell]) -> Result<Vec<u8>> {
    let mut out = csv::Writer::from_writer(Vec::new());
    let keys = cells.first().map(|cell| &cell.settings[..]).unwrap_or_default();
    let names = [
        "seed",
        "test_accuracy",
        "test_loss",
        "validation_accuracy",
        "train_seconds",
        "ram_bytes",
        "flash_bytes",
        "weights_sha256",
    ];
    out.write_record(keys.iter().map(|(key, _)| key.as_str()).chain(names))?;
    for cell in cells {
        let Some(result) = &cell.result else { continue };
        let number = |value: Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
        let numbers = [
            cell.seed.to_string(),
            number(result.test_accuracy),
            number(result.test_loss),
            number(result.validation_accuracy),
            result.train_seconds.to_string(),
            result.ram_bytes.to_string(),
            result.flash_bytes.to_string(),
            result.weights_sha256.clone(),
        ];
        out.write_record(cell.settings.iter().map(|(_, value)| word(value)).chain(numbers))?;
    }
    Ok(out.into_inner()?)
}

/// The plot of accuracy against the first key that varies and whose values are all numbers, if there is one;
/// the other keys give the lines.
pub fn page(title: &str, rows: &[Row]) -> Option<String> {
    let first = &rows.first()?.settings;
    let numeric = |key: &&String| rows.iter().all(|row| row.settings[*key].is_number());
    let varies = |key: &&String| rows.iter().any(|row| row.settings[*key] != first[*key]);
    let mut keys = first.keys().filter(numeric);
    let x = keys.clone().find(varies).or_else(|| keys.next())?;
    let mut series: Vec<Series> = Vec::new();
    for row in rows {
        let (Some(at), Some(accuracy)) = (row.settings[x].as_f64(), row.test_accuracy) else {
            continue;
        };
        let rest: Vec<(String, Value)> = row
            .settings
            .iter()
            .filter(|(key, _)| *key != x && varies(key))
            .map(|(key, value)| (key.rsplit('.').next().unwrap_or(key).to_owned(), value.clone()))
            .collect();
        let name = if rest.is_empty() { "test accuracy".to_owned() } else { label(&rest) };
        let point = (at, accuracy.mean, accuracy.min, accuracy.max);
        match series.iter_mut().find(|series| series.label == name) {
            Some(series) => series.points.push(point),
            None => series.push(Series { label: name, points: vec![point] }),
        }
    }
    (!series.is_empty()).then(|| accuracy_page(title, x, &series))
}
