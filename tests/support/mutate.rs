//! Damaged bytes from a seed: the same ones on every machine.

use fixgrad::{
    config::{CRC32, blob},
    rng::Key,
};

/// Draws damage.
#[derive(Clone, Copy, Debug)]
pub struct Mutator {
    key: Key,
    drawn: u32,
}

impl Mutator {
    /// The damage that `seed` names.
    pub fn new(seed: u64) -> Self {
        Self { key: Key::new(seed), drawn: 0 }
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        self.drawn += 1;
        self.key.below(self.drawn, bound.max(1) as u32) as usize
    }

    /// One to four changes: flipped bits, extreme or moved bytes, insertions, cuts.
    pub fn damage(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len());
            let other = self.below(bytes.len());
            match self.below(8) {
                0..=2 => {
                    let bit = self.below(8);
                    bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << bit);
                }
                3 => {
                    let extreme = [0, 0x7f, 0x80, 0xff][self.below(4)];
                    let length = 1 + self.below(4);
                    bytes.iter_mut().skip(at).take(length).for_each(|byte| *byte = extreme);
                }
                4 => {
                    let extreme = [0, 1, 0x80, 0xff][self.below(4)];
                    bytes.insert(at.min(bytes.len()), extreme);
                }
                5 if !bytes.is_empty() => drop(bytes.remove(at)),
                6 if !bytes.is_empty() => bytes.swap(at, other),
                7 if self.below(4) == 0 => bytes.truncate(at),
                _ => {}
            }
        }
        bytes
    }
}

/// Makes header and checksum of a blob right again, so that damage reaches the content.
pub fn reseal(bytes: &mut [u8]) {
    let Some(body) = bytes.len().checked_sub(blob::OVERHEAD) else { return };
    bytes[10..14].copy_from_slice(&(body as u32).to_le_bytes());
    let end = bytes.len() - 4;
    let crc = CRC32.checksum(&bytes[..end]);
    bytes[end..].copy_from_slice(&crc.to_le_bytes());
}
