//! `fixgrad plan`: who lives where in memory, and what fits.

use std::{fmt::Write as _, path::PathBuf};

use anyhow::Result;
use fixgrad::{config::Update, graph::Layer};
use serde_json::json;

use super::output::print;
use crate::{
    config::{Compiled, DatasetFacts, Experiment, UpdateRule},
    data::SearchPath,
    plan::{Peak, propose},
    run::{Firmware, Footprint, record::MemoryRegion},
};

/// Show what a configuration keeps in memory, and when.
///
/// With a budget, proposes which layers, channels or biases to train so that it fits.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The configuration.
    #[arg(value_name = "FILE.yaml")]
    file: PathBuf,
    /// Bytes of RAM to propose for, such as 131072, 128K or 1M.
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    ram: Option<usize>,
    /// The folder with the data sets.
    #[arg(long, value_name = "DIR", conflicts_with = "input")]
    data: Option<PathBuf>,
    /// Shape of a sample, in place of the data set's: channels, height and width.
    #[arg(long, value_name = "CxHxW", value_parser = shape)]
    input: Option<Shape>,
    /// Plan for a firmware of this task alone: its memory plan is a constant in flash.
    #[arg(long)]
    task: bool,
    /// Print one JSON object instead.
    #[arg(long)]
    json: bool,
}

/// Channels, height and width.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Shape([usize; 3]);

fn bytes(text: &str) -> Result<usize, String> {
    let (number, unit) = match text.trim_end_matches(['k', 'K', 'm', 'M']) {
        number if number.len() == text.len() => (number, 1),
        number if text.ends_with(['k', 'K']) => (number, 1 << 10),
        number => (number, 1 << 20),
    };
    let number: Option<usize> = number.parse().ok();
    number
        .and_then(|number| number.checked_mul(unit))
        .ok_or_else(|| format!("`{text}` is no number of bytes: write 131072, 128K or 1M"))
}

fn shape(text: &str) -> Result<Shape, String> {
    let mut numbers = text.split('x').map(|number| number.parse().ok());
    match [(); 4].map(|()| numbers.next()) {
        [Some(Some(c)), Some(Some(h)), Some(Some(w)), None] => Ok(Shape([c, h, w])),
        _ => Err(format!("`{text}` is no shape: write channels, height and width as 3x32x32")),
    }
}

/// Plans and prints.
pub fn run(args: &Args) -> Result<()> {
    let experiment = Experiment::read(&args.file)?;
    let facts = match args.input {
        Some(Shape(shape)) => experiment.facts_of(shape)?,
        None => {
            let places = SearchPath::from_env(args.data.as_deref(), Some(&args.file));
            DatasetFacts::from(&experiment.load_data(&places)?)
        }
    };
    let (mut compiled, _) = experiment.compile(&facts)?;
    let firmware = if args.task { Firmware::Task } else { Firmware::Any };
    let mut footprint = Footprint::on(&compiled, firmware)?;
    let mut text = String::new();
    if let Some(budget) = args.ram {
        let all = footprint.ram_bytes;
        let proposal = propose(&compiled, firmware, budget)?;
        (compiled, footprint) = (proposal.compiled, proposal.footprint);
        text = proposed(&compiled, budget, all);
    }
    if args.json {
        return print(&as_json(&compiled, &footprint).to_string());
    }
    text += &map(&footprint);
    print(&text)
}

/// The settings that fit, as YAML.
fn proposed(compiled: &Compiled, budget: usize, all: usize) -> String {
    let mut text = format!(
        "# As it is, the configuration takes {all} bytes of RAM. Within {budget} bytes:\nfixed:\n  \
         by_name:\n"
    );
    for (layer, update) in updates(compiled) {
        let _ = writeln!(text, "    {}: {{ update: {} }}", layer.name, UpdateRule(update));
    }
    text + "\n"
}

/// What moves in the layers that have parameters.
fn updates(compiled: &Compiled) -> impl Iterator<Item = (&Layer, Update)> {
    let view = compiled.graph.view();
    let layers = view.layers().iter().zip(&compiled.config.layers).enumerate();
    let layers = layers.filter(move |&(i, _)| view.layer_parameters(i).0 > 0);
    layers.map(|(_, (layer, config))| (layer, config.update))
}

/// All regions by their places, and the moment at which most are in use.
fn map(footprint: &Footprint) -> String {
    let mut text = format!("{} bytes of RAM\n\n", footprint.ram_bytes);
    let header = ["offset", "bytes", "tensor", "layer", "from", "to"];
    let mut rows: Vec<_> = footprint.memory.iter().collect();
    rows.sort_by_key(|region| region.offset);
    let cells = |region: &MemoryRegion| {
        let MemoryRegion { name, layer, offset, bytes, from, to } = region.clone();
        [offset.to_string(), bytes.to_string(), name, layer, from, to]
    };
    let mut table = vec![header.map(str::to_owned)];
    table.extend(rows.into_iter().map(cells));
    for [offset, bytes, cells @ ..] in &table {
        let width = |column: usize| table.iter().map(|row| row[column].len()).max().unwrap_or(0);
        let _ = write!(text, "{offset:>0$}  {bytes:>1$}", width(0), width(1));
        for (column, cell) in cells.iter().enumerate() {
            let _ = write!(text, "  {cell:<0$}", width(column + 2));
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    let Some(peak) = Peak::of(footprint) else { return text };
    let _ = writeln!(text, "\nmost is in use in `{}`: {} bytes", peak.phase, peak.bytes);
    for region in peak.regions.iter().take(CAUSES) {
        let share = 100 * region.bytes / peak.bytes.max(1);
        let _ =
            writeln!(text, "{:>9}  {share:>2} %  {} {}", region.bytes, region.name, region.layer);
    }
    if let Some(rest @ [_, ..]) = peak.regions.get(CAUSES..) {
        let bytes: usize = rest.iter().map(|region| region.bytes).sum();
        let share = 100 * bytes / peak.bytes.max(1);
        let _ = writeln!(text, "{bytes:>9}  {share:>2} %  {} others", rest.len());
    }
    text
}

/// How many of the largest tensors are named.
const CAUSES: usize = 6;

fn as_json(compiled: &Compiled, footprint: &Footprint) -> serde_json::Value {
    let peak = Peak::of(footprint);
    let updates: serde_json::Map<_, _> = updates(compiled)
        .map(|(layer, update)| (layer.name.to_string(), UpdateRule(update).to_string().into()))
        .collect();
    json!({
        "ram_bytes": footprint.ram_bytes,
        "updates": updates,
        "peak": peak.map(|peak| json!({ "phase": peak.phase, "bytes": peak.bytes })),
        "memory": footprint.memory,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_shapes_are_read_or_refused() {
        assert_eq!(
            [bytes("131072"), bytes("128K"), bytes("1m")].map(Result::unwrap),
            [1 << 17, 1 << 17, 1 << 20]
        );
        for wrong in ["", "K", "1G", "-1", "99999999999999999999K"] {
            assert!(bytes(wrong).unwrap_err().contains("128K"), "{wrong}");
        }
        assert_eq!(shape("3x32x16"), Ok(Shape([3, 32, 16])));
        for wrong in ["", "3x32", "3x32x32x1", "axbxc"] {
            assert!(shape(wrong).unwrap_err().contains("3x32x32"), "{wrong}");
        }
    }

    #[test]
    fn the_map_names_what_takes_most() {
        let region = |name: &str, offset, bytes| MemoryRegion {
            name: name.to_owned(),
            layer: "fc".to_owned(),
            offset,
            bytes,
            from: "forward fc".to_owned(),
            to: "loss".to_owned(),
        };
        let footprint = Footprint {
            memory: vec![region("activation", 300, 100), region("master weights", 0, 300)],
            phases: vec!["forward fc".to_owned(), "loss".to_owned()],
            flash: Vec::new(),
            ram_bytes: 400,
            flash_bytes: 0,
        };
        let expected = "\
400 bytes of RAM

offset  bytes  tensor          layer  from        to
     0    300  master weights  fc     forward fc  loss
   300    100  activation      fc     forward fc  loss

most is in use in `forward fc`: 400 bytes
      300  75 %  master weights fc
      100  25 %  activation fc
";
        assert_eq!(map(&footprint), expected);
    }
}
