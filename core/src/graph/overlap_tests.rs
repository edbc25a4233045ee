//! What every plan promises: nothing that is alive at the same time shares memory, and tiles hold the rows that
//! layers put there.

use super::{
    builder::Graph,
    error::PlanError,
    flow::Flow,
    life::Life,
    plan::Plan,
    region::{LayerPlan, Region},
    sizes::{HookNeeds, Sizes},
};
use crate::{
    config::{LayerConfig, Train, Update},
    layer::{Conv2d, Lstm, Output},
    optim::Lr,
    tensor::Width,
};
use proptest::prelude::*;

const NET: Graph<5> = Graph::input([1, 8, 8]).dense("fc1", 32).relu().dense("fc2", 10);

const PICTURES: Graph<5> = Graph::input([2, 8, 8])
    .conv2d("conv1", Conv2d::new(4, 3))
    .max_pool(2)
    .avg_pool(3)
    .conv2d("conv2", Conv2d::new(6, 1).groups(2));

/// Branches, a copy, and readers of one output that come far apart.
const BRANCHES: Graph<10> = Graph::input([2, 4, 4])
    .conv2d("stem", Conv2d::new(4, 1))
    .conv2d("conv1", Conv2d::new(4, 1))
    .from_layer("stem")
    .relu()
    .add("conv1")
    .max_pool(2)
    .from_layer("stem")
    .conv2d("conv2", Conv2d::new(3, 2).stride(2))
    .concat("max_pool2d5")
    .split(1, 5)
    .dense("fc", 3);

const NORMALISED: Graph<10> = Graph::input([2, 6, 6])
    .conv2d("conv1", Conv2d::new(4, 3).same())
    .batch_norm()
    .relu()
    .conv2d("conv2", Conv2d::new(4, 3).same())
    .batch_norm()
    .add("relu3")
    .avg_pool(2)
    .dense("fc", 3);

const SEQUENCES: Graph<10> = Graph::input([3, 1, 6])
    .lstm("lstm1", Lstm::new(5).sequence())
    .relu()
    .lstm("lstm2", Lstm::new(4).truncate(2))
    .dense("fc", 3);

/// A copy of what is as long as a picture, since another layer reads the same.
const FLAT: Graph<10> = Graph::input([2, 7, 11])
    .flatten()
    .split(7, 3)
    .from_layer("data")
    .conv2d("conv", Conv2d::new(3, 1))
    .global_avg_pool()
    .add("split2");

/// All regions, and when they are in use.
fn regions<const N: usize>(flow: Flow<'_>, plan: &Plan<N>) -> std::vec::Vec<(Region, Life)> {
    let params = |p: &super::region::ParamPlan| [p.master, p.velocity, p.codes, p.pass, p.sum];
    let (always, end) = (Life::new(0, u16::MAX), 2 * flow.graph().layers().len() as u16);
    let layers = plan.layers().iter().zip(0u16..);
    let layers = layers.flat_map(|(l, i)| {
        let kept = params(&l.weight).into_iter().chain(params(&l.bias));
        let kept = kept.chain([l.channels, l.channels_now]).map(|region| (region, always));
        let lent = l.transients().into_iter().zip(plan.lives(flow, i.into()));
        let back = if flow.moves(i.into()) { flow.back(i.into()) } else { end - i };
        let tiles = [(l.forward_tile, Life::new(i, i)), (l.backward_tile, Life::new(back, back))];
        kept.chain(lent).chain(tiles)
    });
    layers
        .chain([plan.shared.scratch, plan.shared.row, plan.shared.room].map(|r| (r, always)))
        .filter(|(region, _)| region.len > 0)
        .collect()
}

fn check<const N: usize>(flow: Flow<'_>, plan: &Plan<N>) {
    let all = regions(flow, plan);
    for (i, &(a, life)) in all.iter().enumerate() {
        assert!(a.range().end <= plan.ram() && a.offset() % 4 == 0, "{a:?}");
        for &(b, other) in &all[i + 1..] {
            let together = life.meets(other);
            let overlap = u64::from(a.offset()) < b.end() && u64::from(b.offset()) < a.end();
            // Codes that are the master itself are the one case of shared memory.
            assert!(!(together && overlap) || a == b, "{a:?} {b:?}");
        }
    }
    let (graph, layers) = (flow.graph(), plan.layers());
    for (i, layer) in layers.iter().enumerate().skip(1) {
        let sums = |rows: u32, of: &LayerPlan| rows * u32::from(of.way.channels);
        if layer.way.output != Output::InPlace {
            assert!(sums(layer.way.forward_rows, layer) <= layer.forward_tile.len, "{i}");
        }
        for of in [layer.way.input, layer.way.other].map(usize::from) {
            let Some(target) = layers.get(usize::from(layers[of].way.target)) else { continue };
            if layer.grad.len > 0 && graph.first_reader(of) == i {
                let tiles = flow.tiles(of) as u32;
                let sums = tiles * sums(target.way.grad_rows, target);
                assert!(sums <= layer.backward_tile.len, "{i}");
            }
        }
    }
}

#[test]
fn a_flat_copy_has_room_for_sums_of_a_whole_picture() {
    let layer = LayerConfig::tiny();
    let settings = FLAT.uniform(&layer);
    let plan = FLAT.plan(&Train::new(2, Lr::ZERO), &layer);
    assert_eq!(plan.layers()[1].way.channels, 2 * 7 * 11);
    check(FLAT.view().flow(settings.get(..6).unwrap()), &plan);
}

#[test]
fn what_is_made_again_gives_its_place_to_others() {
    let layer = LayerConfig::tiny();
    let plan = |recompute, hooks| {
        let train = Train { recompute, ..Train::new(8, Lr::ZERO) };
        NORMALISED.plan_with_hooks(&train, &layer, hooks)
    };
    let (kept, again) = (plan(false, HookNeeds::NONE), plan(true, HookNeeds::NONE));
    let settings = NORMALISED.uniform(&layer);
    let flow = NORMALISED.view().flow(settings.get(..9).unwrap());
    check(flow, &again);
    // data0, conv1, bn2, relu3, conv4, bn5, add6, pool7, fc8. conv4 and add6 read what bn2 put out.
    assert_eq!([2, 5].map(|i| flow.gap(i)), [Some((7, 11)), None]);
    let recomputed = |plan: &Plan<10>| plan.layers().iter().position(|l| l.left.is_recomputed());
    assert_eq!((recomputed(&kept), recomputed(&again)), (None, Some(2)));
    assert!(again.ram() <= kept.ram(), "{} {}", again.ram(), kept.ram());
    let hooked = HookNeeds { activation: true, ..HookNeeds::NONE };
    assert_eq!(recomputed(&plan(true, hooked)), None);
}

proptest! {
    #[test]
    fn nothing_alive_at_the_same_time_shares_memory(
        bits in 1u8..=16, batch in 1u16..40, parts in 1u16..4, tile in 0usize..5000,
        momentum: bool, recompute: bool, tiny: bool, channels: bool, hooks: [bool; 3], updates: [u8; 10],
    ) {
        let mut layer = if tiny { LayerConfig::tiny() } else { LayerConfig::new(bits) };
        layer.per_channel = channels;
        let settings = [layer, layer, layer.passing(), layer];
        let sizes = Sizes {
            batch: batch * parts,
            micro_batch: batch,
            velocity: momentum.then_some(Width::I16),
            sums: if tiny { Width::I16 } else { Width::I32 },
            recompute,
            tile,
        };
        let needs = HookNeeds {
            weight: hooks[0],
            weight_off_grid: hooks[1],
            activation: hooks[2],
            activation_off_grid: hooks[2],
        };
        let (mut settings, mut suited) = (settings, PICTURES.uniform(&layer));
        let mut branches = BRANCHES.uniform(&layer);
        let mut normalised = NORMALISED.uniform(&layer);
        let mut sequences = SEQUENCES.uniform(&layer);
        let mut flat = FLAT.uniform(&layer);
        let all = settings.iter_mut().zip(&updates).chain(suited.iter_mut().zip(&updates));
        let all = all.chain(sequences.iter_mut().zip(&updates));
        let all = all.chain(normalised.iter_mut().zip(&updates));
        let all = all.chain(flat.iter_mut().zip(&updates));
        for (settings, &update) in all.chain(branches.iter_mut().zip(&updates)) {
            settings.update = match update % 6 {
                0 => Update::Nothing,
                1 => Update::Bias,
                2 => Update::Channels { first: 1, count: 2 },
                _ => Update::All,
            };
        }
        for (graph, settings) in [
            (NET.view(), &settings[..]),
            (PICTURES.view(), &suited),
            (BRANCHES.view(), &branches),
            (NORMALISED.view(), normalised.get(..9).unwrap()),
            (SEQUENCES.view(), sequences.get(..5).unwrap()),
            (FLAT.view(), flat.get(..6).unwrap()),
        ] {
            match Plan::<10>::new(graph, settings, sizes, &[needs; 10]) {
                Ok(plan) => check(graph.flow(settings), &plan),
                Err(error) => prop_assert!(
                    channels && matches!(error, PlanError::NoSpread { .. }), "{error}"
                ),
            }
        }
    }
}
