//! A number for all that decides later steps: master weights, momentum, ranges and exponents.

use core::borrow::Borrow;

use crc::{CRC_64_XZ, Crc, NoTable};
use fixgrad::{graph::Plan, kernel::Kernel, strategy::Strategy, trainer::Trainer};

/// Without a table: a chip has time between steps, and little flash.
const CRC: Crc<u64, NoTable> = Crc::<u64, NoTable>::new(&CRC_64_XZ);

/// The most bytes that a layer's ranges and exponents take: 34 numbers of at most three.
const LAYER_BYTES: usize = 102;

/// The fingerprint of a trainer between two steps.
pub(crate) fn fingerprint<const N: usize, K: Kernel, S: Strategy, P: Borrow<Plan<N>>>(
    trainer: &Trainer<'_, N, K, S, P>,
) -> u64 {
    let mut digest = CRC.digest();
    digest.update(&trainer.steps().to_le_bytes());
    digest.update(trainer.persistent());
    for state in trainer.states() {
        let mut bytes = [0; LAYER_BYTES];
        // It always fits; were it not so, both sides would leave out the same layer.
        if let Ok(bytes) = postcard::to_slice(&state.memory(), &mut bytes) {
            digest.update(bytes);
        }
    }
    digest.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digits;

    #[test]
    fn every_byte_and_every_range_counts() {
        let mut arena = digits::ARENA;
        let mut trainer = digits::trainer(arena.as_mut_slice()).unwrap();
        digits::train_step(&mut trainer, digits::batch(0)).unwrap();
        let before = fingerprint(&trainer);
        let layers: std::vec::Vec<_> = trainer.states().iter().map(|s| s.memory()).collect();
        let bytes = trainer.persistent().to_vec();
        assert_eq!(fingerprint(&trainer), before);

        let mut changed = bytes.clone();
        changed[0] ^= 1;
        trainer.restore(1, &layers, &changed).unwrap();
        assert_ne!(fingerprint(&trainer), before);

        let mut moved = layers.clone();
        moved.swap(0, 1);
        trainer.restore(1, &moved, &bytes).unwrap();
        assert_ne!(fingerprint(&trainer), before);

        trainer.restore(1, &layers, &bytes).unwrap();
        assert_eq!(fingerprint(&trainer), before);
        for layer in layers {
            let mut bytes = [0; LAYER_BYTES];
            assert!(postcard::to_slice(&layer, &mut bytes).is_ok());
        }
    }
}
