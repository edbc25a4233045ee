//! From the `train:` section to the optimiser's integers.

use fixgrad::{
    config::{LossKind, Train},
    optim::{Lr, Optimizer, Schedule},
    quant::Round,
    tensor::Width,
};
use serde::{Deserialize, Serialize};

use super::{
    at::At,
    compile::DatasetFacts,
    merge::storage,
    number::{rate, rate_value, share, share_value},
    problems::Problems,
    train::{OptimizerKeys, OptimizerMapping, ScheduleKeys, ScheduleMapping, StepKeys, TrainKeys},
};

/// How long a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Length {
    /// So many passes over the training samples.
    Epochs(u32),
    /// So many steps.
    Steps(u32),
}

impl Length {
    /// Steps of the run. An epoch has as many whole batches as fit.
    pub fn steps(self, train_samples: usize, batch: u16) -> u32 {
        match self {
            Self::Steps(steps) => steps,
            Self::Epochs(epochs) => {
                let whole = train_samples / usize::from(batch.max(1));
                u32::try_from(whole).unwrap_or(u32::MAX).saturating_mul(epochs)
            }
        }
    }
}

/// The optimiser's settings and the length of the run.
pub(super) fn build(
    keys: &TrainKeys,
    facts: &DatasetFacts,
    problems: &mut Problems,
) -> Option<(Train, Length)> {
    let length = length(keys, problems);
    let batch = problems.whole::<u16>("`batch`", &keys.batch, 1..=65_535);
    let micro_batch = match &keys.micro_batch {
        Some(micro) => problems.whole::<u16>("`micro_batch`", micro, 1..=65_535),
        None => batch,
    };
    let lr = known_rate("lr", &keys.lr, problems);
    let weight_decay = match &keys.weight_decay {
        Some(decay) => known_rate("weight_decay", decay, problems),
        None => Some(Lr::ZERO),
    };
    let momentum = match &keys.momentum {
        Some(at) => share_below_one("momentum", "and never forgets", at, problems),
        None => Some(0),
    };
    let optimizer = optimizer(keys, problems);
    let velocity = match (&keys.velocity, optimizer) {
        (Some(bits), _) => storage(bits, problems),
        // Signs need little of it.
        (None, Some(Optimizer::Lion { .. })) => Some(Width::I8),
        (None, _) => Some(Width::I16),
    };
    let sums = match &keys.sums {
        Some(bits) if bits.value == 8 => {
            problems.error(bits.span(), "gradient sums of 8 bits", "sums have 16 or 32 bits");
            None
        }
        Some(bits) => storage(bits, problems),
        None => Some(Width::I32),
    };
    let (length, batch, micro_batch) = (length?, batch?, micro_batch?);
    if !batch.is_multiple_of(micro_batch) {
        problems.error(
            keys.micro_batch.as_ref().and_then(At::span),
            format!("batch {batch} cannot be divided into micro-batches of {micro_batch}"),
            "choose a micro_batch that divides the batch",
        );
    }
    if usize::from(batch) > facts.train_samples {
        problems.error(
            keys.batch.span(),
            format!("a batch of {batch}, and {} samples to train on", facts.train_samples),
            "choose a smaller batch",
        );
        return None;
    }
    let run = length.steps(facts.train_samples, batch);
    let schedule = schedule(keys, run, batch, facts, problems);
    let warmup = warmup(keys, run, batch, facts, problems);
    let loss = keys.loss.as_ref().map_or(LossKind::SoftmaxCrossEntropy, |loss| loss.value);
    if loss == LossKind::SoftmaxCrossEntropy && !facts.classes {
        problems.error(
            keys.loss.as_ref().and_then(At::span),
            "softmax cross-entropy needs classes, and the data set has target values",
            "write `loss: mse`, or `loss: bce_with_logits` where every value says yes or no",
        );
    }
    let label_smoothing = label_smoothing(keys, loss, problems);
    let train = Train {
        seed: keys.seed.unwrap_or(0),
        batch,
        micro_batch,
        sums: sums?,
        recompute: keys.recompute.unwrap_or(false),
        loss,
        label_smoothing: label_smoothing?,
        optimizer: optimizer?,
        lr: lr?,
        schedule: schedule?,
        warmup: warmup?,
        momentum: momentum?,
        velocity: velocity?,
        weight_decay: weight_decay?,
        round: keys.update_round.as_ref().map_or(Round::Stochastic, |round| round.value),
    };
    Some((train, length))
}

const MOST_STEPS: i64 = u32::MAX as i64;

fn length(keys: &TrainKeys, problems: &mut Problems) -> Option<Length> {
    match (&keys.epochs, &keys.steps) {
        (Some(epochs), None) => {
            problems.whole("`epochs`", epochs, 1..=1_000_000).map(Length::Epochs)
        }
        (None, Some(steps)) => problems.whole("`steps`", steps, 1..=MOST_STEPS).map(Length::Steps),
        (Some(_), Some(steps)) => {
            problems.error(
                steps.span(),
                "both `epochs` and `steps` say how long the run is",
                "remove one of them",
            );
            None
        }
        (None, None) => {
            problems.error(
                keys.batch.span(),
                "`train` does not say how long the run is",
                "add `epochs: 12` or `steps: 1000`",
            );
            None
        }
    }
}

fn known_rate(what: &str, at: &At<f64>, problems: &mut Problems) -> Option<Lr> {
    let known = rate(at.value);
    match known {
        Some(rate) => note(what, at.value, rate_value(rate), problems),
        None => problems.error(
            at.span(),
            format!("`{what}` is {}", at.value),
            "expected 0, or a number from 1e-12 to 1e6",
        ),
    }
    known
}

fn known_share(what: &str, at: &At<f64>, problems: &mut Problems) -> Option<u16> {
    let known = share(at.value);
    match known {
        Some(share) => note(what, at.value, share_value(share), problems),
        None => problems.error(
            at.span(),
            format!("`{what}` is {}", at.value),
            "expected a number from 0 to 1",
        ),
    }
    known
}

fn share_below_one(what: &str, then: &str, at: &At<f64>, problems: &mut Problems) -> Option<u16> {
    let known = known_share(what, at, problems)?;
    if known == 1 << 15 {
        let message = format!("`{what}` is 1 {then}");
        problems.error(at.span(), message, format!("choose a {what} below 1"));
        return None;
    }
    Some(known)
}

fn optimizer(keys: &TrainKeys, problems: &mut Problems) -> Option<Optimizer> {
    let nesterov = keys.nesterov.as_ref().filter(|nesterov| nesterov.value);
    let momentum = keys.momentum.as_ref().filter(|momentum| momentum.value != 0.0);
    let other = keys.optimizer.as_ref().map(|at| &at.value);
    let Some(OptimizerKeys::Other(OptimizerMapping::Lion(lion))) = other else {
        return match (nesterov, momentum) {
            (Some(at), None) => {
                problems.error(
                    at.span(),
                    "Nesterov's momentum needs a momentum",
                    "add `momentum: 0.9`",
                );
                None
            }
            (Some(_), Some(_)) => Some(Optimizer::Nesterov),
            (None, _) => Some(Optimizer::Sgd),
        };
    };
    let keys = [("nesterov", nesterov.map(At::span)), ("momentum", momentum.map(At::span))];
    for (key, span) in keys.into_iter().filter_map(|(key, span)| Some((key, span?))) {
        problems.error(
            span,
            format!("`{key}` is of `optimizer: sgd`"),
            "remove it; Lion has `betas: [0.9, 0.99]` of its own",
        );
    }
    let Some(at) = &lion.betas else { return Some(Optimizer::LION) };
    let beta = |value| At { value, span: at.span() };
    let then = "and never sees a gradient";
    let betas = at.value.map(|value| share_below_one("beta", then, &beta(value), problems));
    Some(Optimizer::Lion { betas: [betas[0]?, betas[1]?] })
}

fn label_smoothing(keys: &TrainKeys, loss: LossKind, problems: &mut Problems) -> Option<u16> {
    let Some(at) = &keys.label_smoothing else { return Some(0) };
    let share = share_below_one("label_smoothing", "and leaves no label", at, problems)?;
    if share > 0 && loss != LossKind::SoftmaxCrossEntropy {
        problems.error(
            at.span(),
            "`label_smoothing` is of `loss: softmax_cross_entropy`",
            "remove it, or choose that loss",
        );
        return None;
    }
    Some(share)
}

/// Says what a number became, where it is not exactly what was written.
pub(super) fn note(what: &str, wanted: f64, became: f64, problems: &mut Problems) {
    if wanted == 0.0 {
        return;
    }
    let error = became / wanted - 1.0;
    problems.note(if error == 0.0 {
        format!("{what} {wanted} is exact in fixed point")
    } else {
        format!("{what} {wanted} became {became} (relative error {error:+.1e})")
    });
}

fn schedule(
    keys: &TrainKeys,
    run: u32,
    batch: u16,
    facts: &DatasetFacts,
    problems: &mut Problems,
) -> Option<Schedule> {
    let Some(at) = &keys.schedule else { return Some(Schedule::Constant) };
    match &at.value {
        ScheduleKeys::Constant => Some(Schedule::Constant),
        ScheduleKeys::Changing(ScheduleMapping::Cosine(cosine)) => {
            let floor = match &cosine.floor {
                Some(floor) => known_share("floor", floor, problems)?,
                None => 0,
            };
            let steps = match &cosine.steps {
                Some(steps) => problems.whole("`steps`", steps, 1..=MOST_STEPS)?,
                None => run,
            };
            Some(Schedule::Cosine { steps, floor })
        }
        ScheduleKeys::Changing(ScheduleMapping::Step(step)) => {
            let factor = known_share("factor", &step.factor, problems)?;
            let every = every(step, at, batch, facts, problems)?;
            Some(Schedule::Step { every, factor })
        }
    }
}

fn warmup(
    keys: &TrainKeys,
    run: u32,
    batch: u16,
    facts: &DatasetFacts,
    problems: &mut Problems,
) -> Option<u32> {
    let steps = match (&keys.warmup_epochs, &keys.warmup_steps) {
        (None, None) => 0,
        (Some(epochs), None) => {
            let epochs = problems.whole("`warmup_epochs`", epochs, 0..=1_000_000)?;
            Length::Epochs(epochs).steps(facts.train_samples, batch)
        }
        (None, Some(steps)) => problems.whole("`warmup_steps`", steps, 0..=MOST_STEPS)?,
        (Some(_), Some(steps)) => {
            problems.error(
                steps.span(),
                "both `warmup_epochs` and `warmup_steps`",
                "keep one of them",
            );
            return None;
        }
    };
    // No error, as a run may be cut short to look at it.
    if steps > run {
        problems.note(format!(
            "a warm-up of {steps} steps in a run of {run}: the rate stays below what the schedule says"
        ));
    }
    Some(steps)
}

fn every(
    step: &StepKeys,
    at: &At<ScheduleKeys>,
    batch: u16,
    facts: &DatasetFacts,
    problems: &mut Problems,
) -> Option<u32> {
    match (&step.every_epochs, &step.every_steps) {
        (Some(epochs), None) => {
            let epochs = problems.whole("`every_epochs`", epochs, 1..=1_000_000)?;
            Some(Length::Epochs(epochs).steps(facts.train_samples, batch))
        }
        (None, Some(steps)) => problems.whole("`every_steps`", steps, 1..=MOST_STEPS),
        _ => {
            problems.error(
                at.span(),
                "a step schedule has either `every_epochs` or `every_steps`",
                "write `step: { every_epochs: 5, factor: 0.5 }`",
            );
            None
        }
    }
}
