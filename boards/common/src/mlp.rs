//! 784-100-10 for pictures of 28x28 pixels: what stations with little memory begin with.

use fixgrad::{link::Network, prelude::*};

use crate::station::{self, Memory};

/// Most layers of a network, the input included.
pub const LAYERS: usize = 5;
const NET: Graph<LAYERS> =
    Graph::input([1, 28, 28]).flatten().dense("fc1", 100).relu().dense("fc2", 10);
const BATCH: u16 = 16;
const TRAIN: Train = Train::new(BATCH, Lr::ratio(1, 4));
const LAYER: LayerConfig = LayerConfig::tiny();
const PLAN: Plan<LAYERS> = NET.plan(&TRAIN, &LAYER);

/// All memory of a station that trains it.
pub type MlpMemory = Memory<{ PLAN.ram() }, { station::store_for(BATCH as usize, 28 * 28) }>;
/// The memory as it is at the start.
pub const MEMORY: MlpMemory = Memory::for_plan(&PLAN);

/// The network, untrained.
#[inline(never)]
pub fn network() -> Network<LAYERS> {
    Network { graph: NET, config: Config::uniform(NET.view(), LAYER, TRAIN) }
}
