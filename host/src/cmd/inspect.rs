//! `fixgrad inspect`: what a .fxc file holds.

use std::{fmt::Write as _, path::PathBuf};

use anyhow::{Context, Result};
use fixgrad::graph::{Layer, ParamPlan, Region};
use serde_json::{Value, json};

use crate::{
    config::{Compiled, LARGEST_FXC},
    files,
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
    let _ = writeln!(text, "# {} multiply-adds for a training sample", graph.training_macs());
    let _ = writeln!(
        text,
        "# {} bytes of RAM, {} of them master weights and momentum; what is lent shares memory",
        plan.ram(),
        plan.persistent
    );
    let _ = writeln!(text, "# graph {:08x}, {bytes} bytes as .fxc", graph.hash());
    Ok(text)
}

/// A layer and its part of the memory plan.
struct Row<'a> {
    layer: &'a Layer,
    weights: usize,
    biases: usize,
    /// Parameters in all their forms.
    kept: usize,
    /// Output and gradient, while they live.
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
            let lent = [plan.activation, plan.pass, plan.grad, plan.aligned_grad];
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

/// The same as one JSON object.
pub fn json(compiled: &Compiled, bytes: usize) -> Result<Value> {
    let graph = compiled.graph.view();
    let plan = compiled.plan()?;
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
        "training_macs": graph.training_macs(),
        "ram_bytes": plan.ram(),
        "persistent_bytes": plan.persistent,
        "graph_hash": format!("{:08x}", graph.hash()),
        "fxc_bytes": bytes,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{DatasetFacts, Experiment};

    #[test]
    fn the_text_is_a_configuration_again() {
        let facts =
            DatasetFacts { shape: [1, 8, 8], outputs: 10, classes: true, train_samples: 1280 };
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../configs/digits_mlp_w8.yaml");
        let experiment = Experiment::read(path.as_ref()).unwrap();
        let (compiled, _) = experiment.compile(&facts).unwrap();
        let shown = text(&compiled, 99).unwrap();
        let fc1 = shown.lines().find(|line| line.starts_with("# fc1")).unwrap();
        assert_eq!(fc1.split_whitespace().collect::<Vec<_>>()[2..5], ["dense", "[32]", "2080"]);
        let again = Experiment::parse("b.yaml", &shown).unwrap().compile(&facts).unwrap().0;
        assert_eq!(again, compiled);
        let object = json(&compiled, 99).unwrap();
        assert_eq!(object["parameters"], 64 * 32 + 32 + 32 * 10 + 10);
        assert_eq!(object["config"]["train"]["batch"], 32);
    }
}
