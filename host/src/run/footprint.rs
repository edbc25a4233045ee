//! What a run needs on a chip: RAM and flash, by name.

use anyhow::Result;
use fixgrad::{
    graph::{Flow, GraphView, Kind, LayerPlan, Life, Plan, Region},
    kernel::Scalar,
    tensor::Width,
    trainer::{Task, Trainer},
    uses::{Everything, Fitted},
};

use super::record::{FlashItem, MemoryRegion};
use crate::config::{Compiled, MAX_LAYERS};

/// RAM and flash of a run.
///
/// RAM is the arena with the smallest tiles, and the trainer itself, as large as it is for a
/// graph of just these layers on this machine. The samples of a batch are the caller's and not
/// counted.
///
/// Flash is what training and inference must keep besides code: the configuration with its graph
/// (the bytes of the `.fxc` file), the weights and biases as inference sees them, in whole bytes, or
/// as they are stored where some are read there, and the constant tables of the loss and of the schedule. Code is measured on boards.
#[derive(Clone, Debug, PartialEq)]
pub struct Footprint {
    /// What lies in RAM.
    pub memory: Vec<MemoryRegion>,
    /// The phases of a step, as `memory` names them.
    pub phases: Vec<String>,
    /// What lies in flash.
    pub flash: Vec<FlashItem>,
    /// All of RAM.
    pub ram_bytes: usize,
    /// All of flash.
    pub flash_bytes: usize,
}

type AnyTrainer<const N: usize> = Trainer<'static, N, Scalar, ()>;
/// A trainer whose plan lies in flash, with room for so many bounds.
type TaskTrainer<const N: usize, const BOUNDS: usize> =
    Trainer<'static, N, Scalar, (), &'static Task<N, Fitted<BOUNDS, Everything>>>;

/// What a trainer is made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Firmware {
    /// Settings that are read while it runs: the trainer has its plan in RAM.
    #[default]
    Any,
    /// A [`Task`] in a constant: the plan lies in flash, and there is room for as many bounds as the
    /// network has.
    Task,
}

impl Footprint {
    /// The needs of a configuration.
    pub fn of(compiled: &Compiled) -> Result<Self> {
        Self::on(compiled, Firmware::Any)
    }

    /// The needs of a configuration in a firmware.
    pub fn on(compiled: &Compiled, firmware: Firmware) -> Result<Self> {
        let (graph, config) = (&compiled.graph, &compiled.config);
        let plan = AnyTrainer::<MAX_LAYERS>::plan_for(graph, config, &(), 0)?;
        let graph = graph.view();
        let phases = phases(graph, config.train.accumulates());
        let mut memory = regions(graph.flow(&config.layers), &plan, &phases);
        let layers = graph.layers().len();
        let (trainer, plan_bytes) = match firmware {
            Firmware::Any => (trainer_bytes(layers), 0),
            Firmware::Task => {
                let trainer = task_trainer_bytes(layers, plan.bounds());
                (trainer, trainer_bytes(layers) - task_trainer_bytes(layers, 8 * layers))
            }
        };
        memory.push(lasting("trainer", "", plan.ram(), trainer, &phases));
        let mut flash = flash(compiled)?;
        if plan_bytes > 0 {
            flash.push(FlashItem { name: "memory plan".to_owned(), bytes: plan_bytes });
        }
        let flash_bytes = flash.iter().map(|item| item.bytes).sum();
        Ok(Self { memory, phases, flash, ram_bytes: plan.ram() + trainer, flash_bytes })
    }
}

/// A trainer holds as many states and plans as its graph has room for layers, here as many as
/// there are.
const fn trainer_bytes(layers: usize) -> usize {
    let (half, full) =
        (size_of::<AnyTrainer<{ MAX_LAYERS / 2 }>>(), size_of::<AnyTrainer<MAX_LAYERS>>());
    let one = (full - half) / (MAX_LAYERS / 2);
    full - one * (MAX_LAYERS - layers)
}

/// The same of a trainer whose plan lies in flash.
const fn task_trainer_bytes(layers: usize, bounds: usize) -> usize {
    let least = size_of::<TaskTrainer<2, 2>>();
    // Over many, so that what fills up words does not count.
    let layer = (size_of::<TaskTrainer<66, 2>>() - least) / 64;
    let bound = (size_of::<TaskTrainer<2, 66>>() - least) / 64;
    least + layer * layers + bound * bounds - 2 * (layer + bound)
}

/// One name for every moment of a step, as regions count them.
fn phases(graph: GraphView<'_>, accumulates: bool) -> Vec<String> {
    let names = graph.layers().iter().map(|layer| layer.name.as_str());
    let forward = names.clone().map(|name| format!("forward {name}"));
    // Nothing is computed below the input.
    let backward = names.skip(1).rev().map(|name| format!("backward {name}"));
    let mut phases: Vec<String> = forward.chain(["loss".to_owned()]).chain(backward).collect();
    if accumulates {
        phases.push("update".to_owned());
    }
    phases
}

fn regions(flow: Flow<'_>, plan: &Plan<MAX_LAYERS>, phases: &[String]) -> Vec<MemoryRegion> {
    let mut out = Vec::new();
    let always = Life::new(0, u16::MAX);
    let mut add = |name: &str, layer: &str, region: Region, life: Life| {
        if region.len == 0 || region.is_stored() {
            return;
        }
        let phase = |moment: u16| phases[usize::from(moment).min(phases.len() - 1)].clone();
        let lives = life.pieces().into_iter().filter(|(first, last)| first <= last);
        out.extend(lives.zip([name.to_owned(), format!("{name}, again")]).map(|(life, name)| {
            MemoryRegion {
                name,
                layer: layer.to_owned(),
                offset: region.offset() as usize,
                bytes: region.bytes(),
                from: phase(life.0),
                to: phase(life.1),
            }
        }));
    };
    let lives = |i| plan.lives(flow, i);
    for (i, (layer, plan)) in flow.graph().layers().iter().zip(plan.layers()).enumerate() {
        let LayerPlan { weight, bias, channels, channels_now, .. } = plan;
        let LayerPlan { activation, pass, grad, aligned_grad, .. } = plan;
        let layer = layer.name.as_str();
        for (what, param) in [("weights", weight), ("biases", bias)] {
            add(&format!("master {what}"), layer, param.master, always);
            add(&format!("velocity of {what}"), layer, param.velocity, always);
            if param.codes != param.master {
                add(what, layer, param.codes, always);
            }
            add(&format!("clip mask of {what}"), layer, param.pass, always);
            add(&format!("gradient sums of {what}"), layer, param.sum, always);
        }
        let [kept, used] = match plan.way.kind {
            Kind::BatchNorm(_) => ["running statistics", "statistics and factors"],
            Kind::Lstm(_) => ["bound of gate gradients", "sums of a step"],
            _ => ["channel bounds", "channel bounds in use"],
        };
        let [aligned_name, kept_name] = match plan.way.kind {
            Kind::Lstm(_) => ["gate gradients", "gates and states"],
            _ => ["aligned gradient", "winners"],
        };
        add(kept, layer, *channels, always);
        add(used, layer, *channels_now, always);
        let [numbers, mask, back, aligned, kept] = lives(i);
        add("activation", layer, *activation, numbers);
        add("clip mask", layer, *pass, mask);
        add("activation gradient", layer, *grad, back);
        add(aligned_name, layer, *aligned_grad, aligned);
        add(kept_name, layer, plan.memo, kept);
    }
    add("row of sums", "", plan.shared.row, always);
    add("sums", "", plan.shared.scratch, always);
    add("windows", "", plan.shared.room, always);
    out
}

fn lasting(
    name: &str,
    layer: &str,
    offset: usize,
    bytes: usize,
    phases: &[String],
) -> MemoryRegion {
    let phase = |phase: Option<&String>| phase.cloned().unwrap_or_default();
    MemoryRegion {
        name: name.to_owned(),
        layer: layer.to_owned(),
        offset,
        bytes,
        from: phase(phases.first()),
        to: phase(phases.last()),
    }
}

fn flash(compiled: &Compiled) -> Result<Vec<FlashItem>> {
    let graph = compiled.graph.view();
    let stored = compiled.plan()?.stored_bytes();
    let (mut weights, mut biases) = (0, 0);
    for (i, layer) in compiled.config.layers.iter().enumerate() {
        let (w, b) = graph.layer_parameters(i);
        weights += w * Width::for_bits(layer.weight.infer.bits).bytes();
        biases += b * Width::for_bits(layer.bias.infer.bits).bytes();
    }
    let train = &compiled.config.train;
    let items = [
        ("configuration and graph", compiled.encode()?.len()),
        // What is stored has all of them.
        ("weights", if stored > 0 { 0 } else { weights }),
        ("biases", if stored > 0 { 0 } else { biases }),
        ("stored parameters", stored),
        ("loss table", train.loss.table_bytes()),
        ("schedule table", train.schedule.table_bytes()),
    ];
    let item = |(name, bytes): (&str, usize)| FlashItem { name: name.to_owned(), bytes };
    Ok(items.map(item).into_iter().filter(|item| item.bytes > 0).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::Experiment,
        data::SearchPath,
        run::{Job, Overrides},
    };

    fn footprint(train: &str) -> Footprint {
        let yaml = format!(
            "model: {{ layers: [flatten, dense: {{ name: fc1, units: 32 }}, relu, dense: {{ name: \
             fc2, units: 10 }}] }}\ndata: digits\ntrain: {{ epochs: 1, batch: 32, lr: 0.5, {train} \
             }}\nfixed: {{ by_name: {{ fc2: {{ weight: {{ bits: 12 }} }} }} }}\n"
        );
        let experiment = Experiment::parse("tiny.yaml", &yaml).unwrap();
        let places = SearchPath::new(None, None, None);
        let job = Job::new(experiment, &places, Overrides::default()).unwrap();
        Footprint::of(&job.compiled).unwrap()
    }

    #[test]
    fn the_map_is_as_high_as_the_ram() {
        for train in ["", "momentum: 0.5", "micro_batch: 4"] {
            let footprint = footprint(train);
            let end = |region: &MemoryRegion| region.offset + region.bytes;
            assert_eq!(footprint.memory.iter().map(end).max(), Some(footprint.ram_bytes));
            for region in &footprint.memory {
                let place = |phase| footprint.phases.iter().position(|known| known == phase);
                assert!(place(&region.from).unwrap() <= place(&region.to).unwrap(), "{region:?}");
            }
            let updates = footprint.phases.iter().any(|phase| phase == "update");
            assert_eq!(updates, train.contains("micro"));
        }
    }

    #[test]
    fn flash_counts_codes_in_whole_bytes_and_the_tables_in_use() {
        let footprint = footprint("schedule: cosine");
        let bytes = |name: &str| {
            footprint.flash.iter().find(|item| item.name == name).map(|item| item.bytes)
        };
        assert_eq!(bytes("weights"), Some(64 * 32 + 2 * 320));
        assert_eq!(bytes("biases"), Some(32 + 2 * 10));
        assert_eq!((bytes("loss table"), bytes("schedule table")), (Some(260), Some(130)));
        let sum: usize = footprint.flash.iter().map(|item| item.bytes).sum();
        assert_eq!(sum, footprint.flash_bytes);
    }

    #[test]
    fn a_trainer_grows_evenly_with_its_layers() {
        for (layers, bytes) in [
            (2, size_of::<AnyTrainer<2>>()),
            (5, size_of::<AnyTrainer<5>>()),
            (MAX_LAYERS, size_of::<AnyTrainer<MAX_LAYERS>>()),
        ] {
            // Up to padding.
            assert!(trainer_bytes(layers).abs_diff(bytes) <= 8, "{layers}: {bytes}");
        }
        for (found, bytes) in [
            (task_trainer_bytes(5, 17), size_of::<TaskTrainer<5, 17>>()),
            (task_trainer_bytes(100, 301), size_of::<TaskTrainer<100, 301>>()),
        ] {
            assert!(found.abs_diff(bytes) <= 8, "{found} {bytes}");
        }
    }
}
