//! What to train where memory does not suffice for all.
//!
//! The layers next to the outputs come first, each with as much as fits: all of it, a half, a quarter
//! or an eighth of its channels, its biases. What training gains from each is not looked at. That the
//! last layers, and biases before weights, are worth most for what they take is what Lin et al. 2022
//! ("On-Device Training Under 256KB Memory", section 3.2) and Cai et al. 2020 ("TinyTL") found.

use anyhow::Result;
use fixgrad::config::Update;

use crate::{
    config::Compiled,
    run::{Firmware, Footprint},
};

/// What moves in every layer, and what that takes.
#[derive(Clone, Debug, PartialEq)]
pub struct Proposal {
    /// One a layer; nothing for layers without parameters.
    pub updates: Vec<Update>,
    /// The configuration with them.
    pub compiled: Compiled,
    /// What it needs.
    pub footprint: Footprint,
}

/// Not even the least that can be trained fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{budget} bytes of RAM are too few to train anything: the least is {least} bytes. Take smaller \
     micro-batches, fewer bits, range rules that need no whole tensor, or a smaller network, or have \
     what does not move read from flash (`stored: true`), or what was normalised made again (`recompute: \
     true`)"
)]
pub struct TooSmall {
    /// Bytes that are there.
    pub budget: usize,
    /// Bytes that the least takes.
    pub least: usize,
}

/// As much as fits in so many bytes of RAM.
pub fn propose(compiled: &Compiled, firmware: Firmware, budget: usize) -> Result<Proposal> {
    let view = compiled.graph.view();
    let mut updates = vec![Update::Nothing; view.layers().len()];
    let (mut best, mut least) = (None, usize::MAX);
    for i in (1..updates.len()).rev() {
        let Some(facts) = view.facts(i).filter(|facts| facts.weights() > 0) else { continue };
        let channels = facts.weights[0] as u16;
        // Gates of a cell have no channels of their own.
        let parts: &[u16] = if facts.steps > 0 { &[1] } else { &[1, 2, 4, 8] };
        let parts = parts.iter().filter(|&part| channels.is_multiple_of(*part));
        let parts = parts.map(|&part| match part {
            1 => Update::All,
            _ => Update::Channels { first: 0, count: channels / part },
        });
        let biases = (facts.biases > 0).then_some(Update::Bias);
        for update in parts.chain(biases) {
            updates[i] = update;
            let found = with(compiled, firmware, &updates)?;
            least = least.min(found.footprint.ram_bytes);
            if found.footprint.ram_bytes <= budget {
                best = Some(found);
                break;
            }
            updates[i] = Update::Nothing;
        }
    }
    best.ok_or_else(|| TooSmall { budget, least }.into())
}

fn with(compiled: &Compiled, firmware: Firmware, updates: &[Update]) -> Result<Proposal> {
    let mut compiled = compiled.clone();
    for (config, &update) in compiled.config.layers.iter_mut().zip(updates) {
        config.update = update;
    }
    let footprint = Footprint::on(&compiled, firmware)?;
    Ok(Proposal { updates: updates.to_vec(), compiled, footprint })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{DatasetFacts, Experiment};

    const CONVOLUTIONS: &str = "\
model:
  layers:
    - conv2d: { name: conv1, channels: 16, kernel: 3 }
    - relu
    - conv2d: { name: conv2, channels: 32, kernel: 3 }
    - relu
    - global_avg_pool
    - dense: { name: fc, units: 10 }
data: digits
train: { epochs: 1, batch: 8, lr: 0.5, momentum: 0.9 }
";

    const SEQUENCES: &str = "\
model:
  layers:
    - lstm: { name: lstm1, units: 16, return_sequences: true }
    - relu
    - lstm: { name: lstm2, units: 16 }
    - relu
    - dense: { name: fc1, units: 16 }
    - dense: { name: fc, units: 10 }
data: digits
train: { epochs: 1, batch: 8, lr: 0.5, momentum: 0.9 }
";

    fn compiled(yaml: &str) -> Compiled {
        let experiment = Experiment::parse("a.yaml", yaml).unwrap();
        let facts =
            DatasetFacts { shape: [1, 8, 8], outputs: 10, classes: true, train_samples: 100 };
        experiment.compile(&facts).unwrap().0
    }

    #[test]
    fn what_fits_is_proposed_from_the_outputs_on() {
        for yaml in [CONVOLUTIONS, SEQUENCES] {
            fits_from_the_outputs_on(&compiled(yaml));
        }
    }

    fn fits_from_the_outputs_on(compiled: &Compiled) {
        let all = Footprint::of(compiled).unwrap().ram_bytes;
        let proposal = propose(compiled, Firmware::Any, all).unwrap();
        assert_eq!([1, 3, 6].map(|layer| proposal.updates[layer]), [Update::All; 3]);
        assert_eq!(proposal.footprint.ram_bytes, all);
        let (mut budget, mut before) = (all, usize::MAX);
        // As the budget shrinks, what is trained changes and always fits.
        while let Ok(proposal) = propose(compiled, Firmware::Any, budget) {
            let ram = proposal.footprint.ram_bytes;
            assert!(ram <= budget && ram < before, "{ram} of {budget}");
            assert_ne!(proposal.updates[6], Update::Nothing, "the last layer comes first");
            (budget, before) = (ram - 1, ram);
        }
        let error = propose(compiled, Firmware::Any, budget).unwrap_err();
        assert_eq!(error.downcast::<TooSmall>().unwrap(), TooSmall { budget, least: before });
    }
}
