//! What a trainer keeps between steps.

use fixgrad::{
    graph::{ParamPlan, Plan, Region},
    tensor::Width,
};

use crate::net::LAYERS;

/// A weight and its bias, as mantissas; empty where there is none.
pub(super) type Pair = [Vec<i64>; 2];

/// Parameters and their velocities, layer by layer.
pub(super) struct Stored {
    pub(super) masters: Vec<Pair>,
    pub(super) velocities: Vec<Pair>,
}

impl Stored {
    pub(super) fn read(plan: &Plan<LAYERS>, bytes: &[u8]) -> Self {
        let all = |region: fn(&ParamPlan) -> Region| {
            let pair = |layer: [&ParamPlan; 2]| layer.map(|param| mantissas(bytes, region(param)));
            plan.layers().iter().map(|layer| pair([&layer.weight, &layer.bias])).collect()
        };
        Self { masters: all(|param| param.master), velocities: all(|param| param.velocity) }
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
