//! What a trainer keeps between steps.

use fixgrad::{
    graph::{Kind, ParamPlan, Plan, Region},
    tensor::Width,
};

use crate::net::LAYERS;

/// A weight and its bias, as mantissas; empty where there is none.
pub(super) type Pair = [Vec<i64>; 2];

/// Parameters and their velocities, layer by layer.
pub(super) struct Stored {
    pub(super) masters: Vec<Pair>,
    pub(super) velocities: Vec<Pair>,
    /// Running means and variances of channels, in units of 2^-32.
    pub(super) running: Vec<[Vec<i64>; 2]>,
    /// What the bounds of gates' gradients follow.
    pub(super) gates: Vec<Vec<i64>>,
}

impl Stored {
    pub(super) fn read(plan: &Plan<LAYERS>, bytes: &[u8]) -> Self {
        let all = |region: fn(&ParamPlan) -> Region| {
            let pair = |layer: [&ParamPlan; 2]| layer.map(|param| mantissas(bytes, region(param)));
            plan.layers().iter().map(|layer| pair([&layer.weight, &layer.bias])).collect()
        };
        let running = plan.layers().iter().map(|layer| running(bytes, layer.channels)).collect();
        let gates = plan.layers().iter().map(|layer| match layer.way.kind {
            Kind::Lstm(_) => mantissas(bytes, layer.channels),
            _ => Vec::new(),
        });
        Self {
            gates: gates.collect(),
            running,
            masters: all(|param| param.master),
            velocities: all(|param| param.velocity),
        }
    }
}

fn mantissas(bytes: &[u8], region: Region) -> Vec<i64> {
    if region.len == 0 {
        return Vec::new();
    }
    let bytes = &bytes[region.offset() as usize..][..region.bytes()];
    match region.width() {
        Width::I8 => bytes.iter().map(|&b| i64::from(b as i8)).collect(),
        Width::I16 => bytes.as_chunks().0.iter().map(|&b| i16::from_le_bytes(b).into()).collect(),
        Width::I32 => bytes.as_chunks().0.iter().map(|&b| i32::from_le_bytes(b).into()).collect(),
    }
}

/// Low words of all means, high ones, and the same of all variances.
fn running(bytes: &[u8], region: Region) -> [Vec<i64>; 2] {
    if region.width() != Width::I32 {
        return Default::default();
    }
    let words = mantissas(bytes, region);
    let mut rows = words.chunks_exact((words.len() / 4).max(1));
    [(); 2].map(|()| {
        let (low, high) = (rows.next().unwrap_or_default(), rows.next().unwrap_or_default());
        low.iter().zip(high).map(|(low, high)| high << 32 | low & 0xffff_ffff).collect()
    })
}
