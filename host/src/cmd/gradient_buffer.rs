//! `fixgrad gradient-buffer`: fixed exponents for weight gradients, from those that a run recorded.

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Write as _,
    path::PathBuf,
};

use anyhow::{Context, Result, anyhow, ensure};
use fixgrad::{
    optim::Lr,
    quant::{Range, exponent_of},
    strategy::{BufferRule, GradientBuffer, LayerSet, StrategyConfig, StrategyKind},
};
use serde::Serialize;
use serde_json::json;

use super::output::print;
use crate::{
    config::Compiled,
    files,
    quantize::parse_rule,
    run::{
        Model, RunFolder,
        log::{TornTail, read_log},
        record::{Epoch, Point, Record, TensorStats},
    },
};

/// Fix the exponents of weight gradients to what a run recorded, with a gradient buffer behind
/// them. Prints the configuration for the next run.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The folder of the run that recorded them.
    #[arg(value_name = "RUN_DIR")]
    run: PathBuf,
    /// from_max: no gradient saturates, small ones may become zero. from_min: small gradients are
    /// kept, large ones saturate.
    #[arg(long, value_parser = parse_rule::<BufferRule>, default_value = "from_max")]
    rule: BufferRule,
    /// Width of the buffer.
    #[arg(long, value_parser = clap::value_parser!(u8).range(2..=30), default_value_t = 24)]
    bits: u8,
    /// Look at the last N epochs only; gradients are larger in the first ones.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    last: Option<u32>,
    /// The file to write; by default the configuration is printed.
    #[arg(short, long, value_name = "FILE.yaml")]
    output: Option<PathBuf>,
    /// Print one JSON object instead.
    #[arg(long)]
    json: bool,
}

/// Reads the run, and prints or writes the configuration.
pub fn run(args: &Args) -> Result<()> {
    let folder = RunFolder::open(&args.run)?;
    let records = read_log(&folder.metrics(), TornTail::Refuse)?;
    let recorded = Recorded::of(&records, args.last);
    let compiled = Model::read(&folder.model())?.compiled;
    let (compiled, rows) = fix(compiled, &recorded, args.rule, args.bits)
        .with_context(|| args.run.display().to_string())?;
    if let Some(path) = &args.output {
        files::replace(path, compiled.to_yaml()?.as_bytes())?;
    }
    print(&if args.json {
        json!({
            "rule": args.rule,
            "buffer_bits": args.bits,
            "tensors": rows,
            "config": serde_json::to_value(compiled.sections())?,
            "output": args.output,
        })
        .to_string()
    } else if let Some(path) = &args.output {
        format!("{}\n{}", table(&rows), path.display())
    } else {
        // A configuration still, with the table as comments.
        let comments = table(&rows).replace('\n', "\n# ");
        format!("{}\n# {comments}", compiled.to_yaml()?)
    })
}

/// Exponents of the smallest and the largest bound of a tensor.
#[derive(Clone, Copy)]
struct Bounds {
    bits: u8,
    lowest: i16,
    highest: i16,
}

/// The bounds that a run recorded.
struct Recorded<'r>(HashMap<(&'r str, Point), Bounds>);

impl<'r> Recorded<'r> {
    fn of(records: &'r [Record], last: Option<u32>) -> Self {
        let epochs = records.iter().rev().filter_map(|record| match record {
            Record::Epoch(epoch) => Some(epoch),
            _ => None,
        });
        let mut found = HashMap::new();
        for Epoch { tensors, .. } in epochs.take(last.map_or(usize::MAX, |last| last as usize)) {
            for TensorStats { layer, point, bits, exponent_min, exponent_max, .. } in tensors {
                // The log has exponents of units; the bound is always as far above them.
                let bound = |unit: i16| unit.saturating_sub(exponent_of(0, *bits));
                let (low, high) = (bound(*exponent_min), bound(*exponent_max));
                let new = Bounds { bits: *bits, lowest: low, highest: high };
                let known = found.entry((layer.as_str(), *point)).or_insert(new);
                known.lowest = known.lowest.min(low);
                known.highest = known.highest.max(high);
            }
        }
        Self(found)
    }
}

/// What became of one gradient.
#[derive(Debug, Serialize)]
struct Row {
    layer: String,
    point: Point,
    bits: u8,
    /// Exponents of the smallest and the largest bound in the log.
    recorded: [i16; 2],
    /// Exponent of the fixed bound.
    bound: i16,
    /// Exponent of the bound of the layer's buffer.
    buffer_bound: i16,
}

/// The configuration with fixed weight gradients, and what was fixed.
fn fix(
    mut compiled: Compiled,
    recorded: &Recorded<'_>,
    rule: BufferRule,
    bits: u8,
) -> Result<(Compiled, Vec<Row>)> {
    let Compiled { graph, config, .. } = &mut compiled;
    // Recorded gradients are sums over the batch, and this is the rate that meets them.
    let rate = config.train.lr.times(Lr::ratio(1, config.train.batch.into()));
    let mut rows: Vec<Row> = Vec::new();
    let mut buffers: BTreeMap<i16, LayerSet> = BTreeMap::new();
    for (index, (layer, config)) in (0..).zip(graph.view().layers().iter().zip(&mut config.layers))
    {
        let first = rows.len();
        for (param, point, quant) in [
            (Point::Weight, Point::WeightGrad, &mut config.weight_grad),
            (Point::Bias, Point::BiasGrad, &mut config.bias_grad),
        ] {
            let of = |point| recorded.0.get(&(layer.name.as_str(), point));
            let (Some(param), Some(grad)) = (of(param), of(point)) else { continue };
            // A buffer must reach one unit of the weights, the coarsest that there was.
            let weight = (param.highest, param.bits);
            let recorded = (grad.lowest, grad.highest);
            let found = rule.exponents(weight, rate, recorded, quant.bits, bits);
            quant.range = Range::Fixed(found.grad_bound);
            rows.push(Row {
                layer: layer.name.as_str().to_owned(),
                point,
                bits: quant.bits,
                recorded: recorded.into(),
                bound: found.grad_bound,
                buffer_bound: found.buffer_bound,
            });
        }
        // Weights and biases of a layer share a buffer: the larger bound holds both.
        let rows = &mut rows[first..];
        let Some(bound) = rows.iter().map(|row| row.buffer_bound).max() else { continue };
        rows.iter_mut().for_each(|row| row.buffer_bound = bound);
        let layers = buffers.entry(bound).or_default();
        *layers = layers.with(index);
    }
    ensure!(
        !rows.is_empty(),
        "expected weight gradients in metrics.jsonl, found none: train at least one epoch"
    );
    // The first strategy's post hook is the last: what the update gets lies on the buffer's grid.
    let others = config.strategies.iter().copied();
    let others = others.filter(|s| !matches!(s.kind, StrategyKind::GradientBuffer(_)));
    let buffers = buffers.into_iter().map(|(bound, layers)| StrategyConfig {
        layers,
        kind: StrategyKind::GradientBuffer(GradientBuffer { bound, bits }),
    });
    let strategies: Vec<StrategyConfig> = buffers.chain(others).collect();
    let most = config.strategies.capacity();
    config.strategies = strategies.as_slice().try_into().map_err(|_| {
        anyhow!(
            "{} strategies are needed, one for every bound of a buffer, and a configuration holds \
             {most}: record fewer epochs with --last, or remove other strategies",
            strategies.len()
        )
    })?;
    config.validate(graph.view()).context("the recorded exponents make no configuration")?;
    Ok((compiled, rows))
}

fn table(rows: &[Row]) -> String {
    let mut text = format!(
        "{:<15} {:<15} {:>4} {:>16} {:>6} {:>7}",
        "layer", "gradient", "bits", "recorded bounds", "fixed", "buffer"
    );
    for row in rows {
        let [lowest, highest] = row.recorded;
        let _ = write!(
            text,
            "\n{:<15} {:<15} {:>4} {:>16} {:>6} {:>7}",
            row.layer,
            row.point.label(),
            row.bits,
            format!("2^{lowest}..2^{highest}"),
            format!("2^{}", row.bound),
            format!("2^{}", row.buffer_bound)
        );
    }
    text
}
