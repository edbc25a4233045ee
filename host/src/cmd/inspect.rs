//! `fixgrad inspect`: what a .fxc file holds.

use std::{fmt::Write as _, path::PathBuf};

use anyhow::{Context, Result};
use fixgrad::graph::{Layer, ParamPlan, Region};
use serde_json::{Value, json};

use crate::{
    config::{Compiled, LARGEST_FXC},
    files,
    run::Footprint,
};

/// Show what a .fxc file holds: the configuration as YAML, and the network.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The file.
    file: PathBuf,
    /// Print one JSON object instead.
    #[arg(long)]
    json: bool,
}

/// Reads the file and prints it.
pub fn run(args: &Args) -> Result<()> {
    let bytes = files::read(&args.file, LARGEST_FXC)?;
    let compiled = Compiled::decode(&bytes).with_context(|| args.file.display().to_string())?;
    if args.json {
        println!("{}", json(&compiled, bytes.len())?);
    } else {
        print!("{}", text(&compiled, bytes.len())?);
    }
    Ok(())
}

/// YAML with the network and its memory as comments below it: a configuration again.
pub fn text(compiled: &Compiled, bytes: usize) -> Result<String> {
    let graph = compiled.graph.view();
    let plan = compiled.plan()?;
    let mut text = compiled.to_yaml()?;
    let _ = writeln!(
        text,
        "\n# {:<15} {:<8} {:>15} {:>10} {:>11} {:>11}",
        "layer", "kind", "output", "parameters", "bytes kept", "bytes lent"
    );
    for row in rows(compiled)? {
        let _ = writeln!(
            text,
            "# {:<15} {:<8} {:>15} {:>10} {:>11} {:>11}",
            row.layer.name,
            row.layer.kind.word(),
            row.layer.shape.to_string(),
            row.weights + row.biases,
            row.kept,
            row.lent
        );
    }
    let _ = writeln!(text, "# {} parameters", graph.parameters());
    let _ = writeln!(text, "# {} multiply-adds for a training sample", training_macs(compiled));
    let footprint = Footprint::of(compiled)?;
    let _ = writeln!(
        text,
        "# {} bytes of RAM: {} of arena, {} of them master weights and momentum, and the trainer; \
         what is lent shares memory",
        footprint.ram_bytes,
        plan.ram(),
        plan.persistent
    );
    let items = footprint.flash.iter().map(|item| format!("{} {}", item.name, item.bytes));
    let items: Vec<String> = items.collect();
    let _ = writeln!(
        text,
        "# {} bytes of flash besides code: {}",
        footprint.flash_bytes,
        items.join(", ")
    );
    let _ = writeln!(text, "# graph {:08x}, {bytes} bytes as .fxc", graph.hash());
    Ok(text)
}

/// A layer and its part of the memory plan.
struct Row<'a> {
    layer: &'a Layer,
    weights: usize,
    biases: usize,
    /// Parameters in all their forms, and the bounds of their channels.
    kept: usize,
    /// Output, gradient and what the layer keeps between them, while they live.
    lent: usize,
}

fn rows(compiled: &Compiled) -> Result<Vec<Row<'_>>> {
    let graph = compiled.graph.view();
    let plan = compiled.plan()?;
    let rows = graph.layers().iter().zip(plan.layers()).enumerate();
    Ok(rows
        .map(|(index, (layer, plan))| {
            let (weights, biases) = graph.layer_parameters(index);
            let params = [plan.weight, plan.bias].into_iter();
            // Where no bit differs, the codes are the master weights.
            let codes = |p: &ParamPlan| if p.codes == p.master { Region::NONE } else { p.codes };
            let kept = params.flat_map(|p| [p.master, p.velocity, codes(&p), p.pass, p.sum]);
            let kept = kept.chain([plan.channels, plan.channels_now]);
            let lent = [plan.activation, plan.pass, plan.memo, plan.grad, plan.aligned_grad];
            Row {
                layer,
                weights,
                biases,
                kept: kept.map(Region::bytes).sum(),
                lent: lent.into_iter().map(Region::bytes).sum(),
            }
        })
        .collect())
}

/// Multiply-adds of a training sample, of what moves and what leads to it.
fn training_macs(compiled: &Compiled) -> usize {
    compiled.graph.view().flow(&compiled.config.layers).training_macs()
}

/// The same as one JSON object.
pub fn json(compiled: &Compiled, bytes: usize) -> Result<Value> {
    let graph = compiled.graph.view();
    let (plan, footprint) = (compiled.plan()?, Footprint::of(compiled)?);
    let layers: Vec<Value> = rows(compiled)?
        .iter()
        .map(|row| {
            json!({
                "name": row.layer.name.as_str(),
                "kind": row.layer.kind.word(),
                "shape": row.layer.shape.0,
                "weights": row.weights,
                "biases": row.biases,
                "bytes_kept": row.kept,
                "bytes_lent": row.lent,
            })
        })
        .collect();
    Ok(json!({
        "config": serde_json::to_value(compiled.sections())?,
        "layers": layers,
        "parameters": graph.parameters(),
        "training_macs": training_macs(compiled),
        "ram_bytes": footprint.ram_bytes,
        "arena_bytes": plan.ram(),
        "persistent_bytes": plan.persistent,
        "flash_bytes": footprint.flash_bytes,
        "flash": footprint.flash,
        "graph_hash": format!("{:08x}", graph.hash()),
        "fxc_bytes": bytes,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{DatasetFacts, Experiment};

    const FACTS: DatasetFacts =
        DatasetFacts { shape: [1, 8, 8], outputs: 10, classes: true, train_samples: 1280 };

    fn compiled(from: &str, to: &str) -> Compiled {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../configs/digits_mlp_w8.yaml");
        let yaml = std::fs::read_to_string(path).unwrap();
        assert!(yaml.contains(from));
        Experiment::parse("a.yaml", &yaml.replacen(from, to, 1)).unwrap().compile(&FACTS).unwrap().0
    }

    #[test]
    fn the_text_is_a_configuration_again() {
        let compiled = compiled("", "");
        let shown = text(&compiled, 99).unwrap();
        let fc1 = shown.lines().find(|line| line.starts_with("# fc1")).unwrap();
        assert_eq!(fc1.split_whitespace().collect::<Vec<_>>()[2..5], ["dense", "[32]", "2080"]);
        let again = Experiment::parse("b.yaml", &shown).unwrap().compile(&FACTS).unwrap().0;
        assert_eq!(again, compiled);
        let object = json(&compiled, 99).unwrap();
        assert_eq!(object["parameters"], 64 * 32 + 32 + 32 * 10 + 10);
        assert_eq!(object["config"]["train"]["batch"], 32);
    }

    #[test]
    fn ram_and_flash_are_those_of_a_run() {
        let compiled = compiled("", "");
        let footprint = Footprint::of(&compiled).unwrap();
        let shown = text(&compiled, 99).unwrap();
        assert!(shown.contains(&format!("# {} bytes of RAM: ", footprint.ram_bytes)), "{shown}");
        let flash = format!("# {} bytes of flash besides code: ", footprint.flash_bytes);
        assert!(shown.contains(&flash) && shown.contains("weights 2368"), "{shown}");
        let object = json(&compiled, 99).unwrap();
        assert_eq!(object["ram_bytes"], footprint.ram_bytes);
        assert_eq!(object["flash_bytes"], footprint.flash_bytes);
        assert_eq!(object["flash"].as_array().unwrap().len(), footprint.flash.len());
    }

    #[test]
    fn bounds_of_channels_are_kept_bytes() {
        let kept = |compiled: &Compiled| -> Vec<usize> {
            rows(compiled).unwrap().iter().map(|row| row.kept).collect()
        };
        let one = kept(&compiled("", ""));
        let many = kept(&compiled("weight: { bits: 8 }", "weight: { bits: 8, per_channel: true }"));
        let more: Vec<usize> = many.iter().zip(one).map(|(many, one)| many - one).collect();
        // A byte for the bound of training and one for the bound in use: 32 channels and 10.
        assert_eq!(more, [0, 0, 64, 0, 20]);
    }
}
