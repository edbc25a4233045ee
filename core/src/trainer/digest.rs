//! One number for the whole state of a training: what two machines compare after a step.

use super::{Planned, Tensor, Trainer};
use crate::{kernel::Kernel, strategy::Strategy};

/// FNV-1a with 64 bits (Fowler, Noll and Vo): short code, and the same on every machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Fnv(u64);

impl Fnv {
    const NEW: Self = Self(0xcbf2_9ce4_8422_2325);
    const PRIME: u64 = 0x0000_0100_0000_01b3;

    fn update(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(Self::PRIME);
        }
    }

    // Not inlined: it is short, and so are the loops around it.
    #[inline(never)]
    fn numbers(&mut self, numbers: &[i16]) {
        numbers.iter().for_each(|n| self.update(&n.to_le_bytes()));
    }
}

impl<const N: usize, K: Kernel, S: Strategy, P: Planned<N>> Trainer<'_, N, K, S, P> {
    /// FNV-1a (64 bits) of all that decides later steps, without the number of steps: the bytes
    /// of [`persistent`](Self::persistent), and for each layer the four numbers that each tensor's
    /// bound remembers, in the order of [`Tensor::ALL`], and the exponents of the two momenta, as
    /// little-endian `i16`.
    pub fn digest(&self) -> u64 {
        let mut digest = Fnv::NEW;
        digest.update(self.persistent());
        for (plan, exponents) in self.plan().layers().iter().zip(&self.exponents) {
            for tensor in Tensor::ALL {
                digest.numbers(&self.range(plan, tensor).memory());
            }
            digest.numbers(&exponents.velocities);
        }
        digest.0
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    use super::*;

    #[test]
    fn known_answers_of_the_authors() {
        for (text, hash) in [
            ("", 0xcbf2_9ce4_8422_2325),
            ("a", 0xaf63_dc4c_8601_ec8c),
            ("foobar", 0x85944171f73967e8),
        ] {
            let mut digest = Fnv::NEW;
            digest.update(text.as_bytes());
            assert_eq!(digest, Fnv(hash), "{text}");
        }
    }

    #[test]
    fn weights_and_bounds_count_and_steps_do_not() {
        const NET: Graph<2> = Graph::input([2, 1, 1]).dense("fc", 2);
        let config =
            Config::uniform(NET.view(), LayerConfig::new(8), Train::new(1, Lr::ratio(1, 2)));
        let mut arena = Arena::<512>::new();
        let mut trainer = Trainer::new(&NET, &config, arena.as_mut_slice(), Scalar, ()).unwrap();
        let fresh = trainer.digest();
        let samples = Samples { data: SampleData::I8(&[64, 32]), exponent: -6 };
        trainer.step(samples, Targets::Classes(&[0])).unwrap();
        let stepped = trainer.digest();
        assert_ne!(fresh, stepped);

        let memory: std::vec::Vec<_> = trainer.states().map(|s| s.memory()).collect();
        let bytes = trainer.persistent().to_vec();
        trainer.restore(7, &memory, &bytes).unwrap();
        assert_eq!(trainer.digest(), stepped);
        let mut changed = bytes.clone();
        changed[0] ^= 1;
        trainer.restore(7, &memory, &changed).unwrap();
        assert_ne!(trainer.digest(), stepped);
        let swapped: std::vec::Vec<_> = memory.iter().rev().copied().collect();
        trainer.restore(7, &swapped, &bytes).unwrap();
        assert_ne!(trainer.digest(), stepped);
    }
}
