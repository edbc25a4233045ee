//! For which training a checkpoint was made.

use postcard::ser_flavors::Flavor;

use super::header::{CRC, sum};
use crate::{
    config::{LayerConfig, Train},
    graph::{GraphView, LayerPlan},
    strategy::StrategyConfig,
};

/// Three hashes, from what must be equal to what should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    /// Of the network.
    pub(super) graph: u32,
    /// Of how parameters are stored: their places, widths and units. Others would give the same
    /// bytes another meaning.
    pub(super) storage: u32,
    /// Of all settings. With others, training goes on differently.
    pub(super) config: u32,
}

impl Identity {
    pub(super) fn of(
        graph: GraphView<'_>,
        plan: &[LayerPlan],
        train: &Train,
        layers: &[LayerConfig],
        strategies: &[StrategyConfig],
    ) -> Self {
        let settings = (train, layers, strategies);
        // Nothing in the settings can fail: all lengths are known, and the sink takes every byte.
        let config = postcard::serialize_with_flavor(&settings, Hash(CRC.digest()));
        Self {
            graph: graph.hash(),
            storage: storage(plan, layers),
            config: config.unwrap_or_default(),
        }
    }
}

fn storage(plan: &[LayerPlan], layers: &[LayerConfig]) -> u32 {
    let mut digest = CRC.digest();
    for (plan, config) in plan.iter().zip(layers) {
        let (weight, bias) = (plan.weight, plan.bias);
        for region in [weight.master, bias.master, weight.velocity, bias.velocity, plan.channels]
            .into_iter()
            .filter(|region| region.len > 0)
        {
            sum(&mut digest, &region.offset().to_le_bytes());
            sum(&mut digest, &region.len.to_le_bytes());
            sum(&mut digest, &[region.width().bits()]);
        }
        for (region, master) in [(weight.master, config.master), (bias.master, config.bias_master)]
        {
            if region.len > 0 {
                sum(&mut digest, &master.bound.to_le_bytes());
            }
        }
    }
    digest.finalize()
}

/// A sink for postcard that keeps the checksum and no bytes.
struct Hash(crc::Digest<'static, u32>);

impl Flavor for Hash {
    type Output = u32;

    // Not inlined: the loop of the checksum in every call would be most of a journal's code.
    #[inline(never)]
    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.try_extend(&[byte])
    }

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        sum(&mut self.0, bytes);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<u32> {
        Ok(self.0.finalize())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::{Config, Master},
        graph::{Graph, Plan, Sizes},
        optim::Lr,
        tensor::Width,
    };

    fn identity(graph: &Graph<4>, layer: LayerConfig, train: Train) -> Identity {
        let config = Config::<4>::uniform(graph.view(), layer, train);
        let plan = Plan::<4>::new(graph.view(), &config.layers, Sizes::of(&train), &[]).unwrap();
        let Config { train, layers, strategies } = &config;
        Identity::of(graph.view(), plan.layers(), train, layers, strategies)
    }

    #[test]
    fn each_hash_sees_what_it_is_for() {
        const NET: Graph<4> = Graph::input([3, 1, 1]).dense("fc1", 4).relu();
        const OTHER: Graph<4> = Graph::input([3, 1, 1]).dense("fc", 4).relu();
        let (layer, train) = (LayerConfig::new(8), Train::new(4, Lr::ratio(1, 2)));
        let base = identity(&NET, layer, train);
        let differs = |graph, layer, train| {
            let other = identity(graph, layer, train);
            (other.graph != base.graph, other.storage != base.storage, other.config != base.config)
        };
        assert_eq!(differs(&NET, layer, train), (false, false, false));
        assert_eq!(differs(&OTHER, layer, train), (true, false, false));
        let slower = Train { lr: Lr::ratio(1, 4), ..train };
        assert_eq!(differs(&NET, layer, slower), (false, false, true));
        let momentum = Train { momentum: 1, ..train };
        assert_eq!(differs(&NET, layer, momentum), (false, true, true));
        for master in
            [Master { bound: 2, ..layer.master }, Master { width: Width::I8, ..layer.master }]
        {
            let layer = LayerConfig { master, ..layer };
            assert_eq!(differs(&NET, layer, train), (false, true, true));
        }
    }

    #[test]
    fn the_sink_hashes_the_bytes_that_a_blob_would_hold() {
        let value = (Train::new(7, Lr::ratio(1, 3)), [300u16, 2]);
        let mut buffer = [0; 64];
        let bytes = postcard::to_slice(&value, &mut buffer).unwrap();
        let hash = postcard::serialize_with_flavor(&value, Hash(CRC.digest()));
        assert_eq!(hash, Ok(CRC.checksum(bytes)));
    }
}
