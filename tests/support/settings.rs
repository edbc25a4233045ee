//! Random settings of a run.

use fixgrad::{
    config::{LossKind, Train},
    optim::{Lr, Optimizer, Schedule},
    quant::Round,
    tensor::Width,
};
use proptest::{prelude::*, sample::select};

use crate::net::Variety;

/// A batch of at most eight samples, and how its gradients move the weights.
pub fn train(variety: Variety) -> impl Strategy<Value = Train> {
    let mut rounds = Round::ALL.to_vec();
    rounds.retain(|&round| !variety.deterministic || round == round.deterministic());
    let smoothing = prop_oneof![Just(0), Just(3_277), 0..1u16 << 15];
    let loss = prop_oneof![
        smoothing.prop_map(|smoothing| (LossKind::SoftmaxCrossEntropy, smoothing)),
        Just((LossKind::Mse, 0)),
        Just((LossKind::BceWithLogits, 0)),
    ];
    let factor = || prop_oneof![Just(29_491), 1..1u16 << 15];
    let optimizer = prop_oneof![
        2 => Just((Optimizer::Sgd, 0)),
        3 => factor().prop_map(|momentum| (Optimizer::Sgd, momentum)),
        2 => factor().prop_map(|momentum| (Optimizer::Nesterov, momentum)),
        2 => [factor(), factor()].prop_map(|betas| (Optimizer::Lion { betas }, 0)),
        1 => Just((Optimizer::LION, 0)),
    ];
    let decay = prop_oneof![Just(Lr::ZERO), (1..2000u32).prop_map(|n| Lr::ratio(n, 10_000))];
    let (warmup, recompute) = (0..4u32, any::<bool>());
    let schedule = prop_oneof![
        Just(Schedule::Constant),
        (1..3u32, 0..1u16 << 15).prop_map(|(every, factor)| Schedule::Step { every, factor }),
        (1..5u32, 0..1u16 << 15).prop_map(|(steps, floor)| Schedule::Cosine { steps, floor }),
    ];
    let widths = select(vec![Width::I8, Width::I16, Width::I32]);
    let batch = (1..=8 / variety.parts).prop_map(move |parts| parts * variety.parts);
    let rate = (1..2000u32, 1..2000u32).prop_map(|(a, b)| Lr::ratio(a, b));
    let schedule = (schedule, warmup, recompute);
    (any::<u64>(), batch, loss, rate, schedule, (optimizer, widths), decay, select(rounds))
        .prop_map(
            |(
                seed,
                batch,
                loss,
                lr,
                (schedule, warmup, recompute),
                ((optimizer, momentum), velocity),
                decay,
                round,
            )| {
                Train {
                    seed,
                    batch,
                    micro_batch: batch,
                    sums: Width::I32,
                    recompute,
                    loss: loss.0,
                    label_smoothing: loss.1,
                    optimizer,
                    lr,
                    schedule,
                    warmup,
                    momentum,
                    velocity,
                    weight_decay: decay,
                    round,
                }
            },
        )
}
