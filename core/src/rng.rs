//! Keyed, counter-based random numbers: a value is a function of (seed, step, tensor, element).
//!
//! There is no generator state. A threaded desktop run and a one-sample-at-a-time chip ask for
//! the same `(key, element)` in any order and get the same bits (Salmon et al., *Parallel random
//! numbers: as easy as 1, 2, 3*, SC 2011, section 2). The mixing function is the two-round
//! xorshift-multiply finaliser with Wellons' `lowbias32` constants (2018), and the second half of
//! the key enters between the rounds so that keys with near values give unrelated streams.

/// Names one stream of random numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Key {
    outer: u32,
    inner: u32,
}

#[inline(always)]
const fn mix(mut x: u32, inner: u32) -> u32 {
    x ^= x >> 16;
    x = x.wrapping_mul(Key::FACTORS[0]);
    x ^= (x >> 15) ^ inner;
    x = x.wrapping_mul(Key::FACTORS[1]);
    x ^ (x >> 16)
}

impl Key {
    /// The factors of the mixing function.
    pub(crate) const FACTORS: [u32; 2] = [0x7feb_352d, 0x846c_a68b];

    /// What a position is added to, and what enters between the rounds; for loops that mix by
    /// themselves.
    #[cfg(any(target_arch = "arm", target_arch = "riscv32"))]
    pub(crate) const fn halves_of_key(self) -> [u32; 2] {
        [self.outer, self.inner]
    }

    /// The root key of a run.
    pub const fn new(seed: u64) -> Self {
        let low = seed as u32;
        let high = (seed >> 32) as u32;
        let outer = mix(low ^ 0x9e37_79b9, high);
        Self { outer, inner: mix(high ^ 0x85eb_ca6b, outer) }
    }

    /// The key of a sub-stream, for example one step or one tensor.
    #[must_use]
    pub const fn child(self, tag: u32) -> Self {
        let outer = mix(self.outer.wrapping_add(tag), self.inner);
        let inner = mix(self.inner ^ tag.wrapping_mul(0x9e37_79b9), outer);
        Self { outer, inner }
    }

    /// As [`child`](Self::child), not inlined: the same code for all who ask once a tensor or a step.
    #[inline(never)]
    pub(crate) const fn stream(self, tag: u32) -> Self {
        self.child(tag)
    }

    /// 32 random bits for position `index`.
    #[inline(always)]
    pub const fn word(self, index: u32) -> u32 {
        mix(self.outer.wrapping_add(index), self.inner)
    }

    /// 16 random bits for element `index`; two neighbours share one word, so a scalar core
    /// mixes once for two elements.
    #[inline(always)]
    pub const fn half(self, index: u32) -> u32 {
        (self.word(index >> 1) >> ((index & 1) * 16)) & 0xffff
    }

    /// [`half`](Self::half) of element `first` and of those that follow; mixes once for two.
    #[inline(always)]
    pub fn halves(self, first: u32, out: &mut [u16]) {
        let (head, rest) = out.split_at_mut(out.len().min((first & 1) as usize));
        head.fill(self.half(first) as u16);
        let first = first.wrapping_add(first & 1);
        let (pairs, last) = rest.as_chunks_mut::<2>();
        for (i, pair) in pairs.iter_mut().enumerate() {
            let word = self.word(first.wrapping_add(2 * i as u32) >> 1);
            // The lower half comes first; said in this way, a pair is one store.
            let word = if cfg!(target_endian = "big") { word.rotate_left(16) } else { word };
            *pair = bytemuck::cast(word);
        }
        last.fill(self.half(first.wrapping_add(2 * pairs.len() as u32)) as u16);
    }

    /// A number below `bound` (Lemire's multiply-shift without rejection: bias below
    /// `bound / 2^32`).
    pub const fn below(self, index: u32, bound: u32) -> u32 {
        ((self.word(index) as u64 * bound as u64) >> 32) as u32
    }
}

/// A keyed permutation of `0..len`: shuffles a data set without a table in RAM.
///
/// A balanced Feistel network over the next even power of two with cycle walking (Black and
/// Rogaway, *Ciphers with arbitrary finite domains*, CT-RSA 2002, section 3).
#[derive(Clone, Copy, Debug)]
pub struct Permutation {
    key: Key,
    len: u32,
    half_bits: u32,
}

impl Permutation {
    const ROUNDS: u32 = 6;

    /// The permutation of `0..len` named by `key`.
    pub const fn new(key: Key, len: u32) -> Self {
        let bits = if len > 1 { 32 - (len - 1).leading_zeros() } else { 1 };
        Self { key, len, half_bits: bits.div_ceil(2) }
    }

    /// Where `index` goes. An index outside `0..len` is returned unchanged.
    pub const fn at(&self, index: u32) -> u32 {
        if index >= self.len {
            return index;
        }
        let mask = ((1u64 << self.half_bits) - 1) as u32;
        let mut value = index;
        loop {
            let mut left = value >> self.half_bits;
            let mut right = value & mask;
            let mut round = 0;
            while round < Self::ROUNDS {
                let next = left ^ (self.key.child(round).word(right) & mask);
                left = right;
                right = next;
                round += 1;
            }
            // At most four domain values exist per index, so the walk is short; it ends because
            // the network is a bijection and `index` itself lies inside.
            value = ((left as u64) << self.half_bits) as u32 | right;
            if value < self.len {
                return value;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_permutation_hits_every_index_once() {
        for len in [1u32, 2, 3, 10, 64, 65, 1797, 5000] {
            let permutation = Permutation::new(Key::new(7).child(len), len);
            let mut seen = std::vec![false; len as usize];
            for i in 0..len {
                let j = permutation.at(i) as usize;
                assert!(!core::mem::replace(&mut seen[j], true), "{len}: {j} twice");
            }
        }
        assert_eq!(Permutation::new(Key::new(1), 10).at(11), 11);
    }

    #[test]
    fn permutations_of_two_keys_differ() {
        let a = Permutation::new(Key::new(1), 1000);
        let b = Permutation::new(Key::new(2), 1000);
        let same = (0..1000).filter(|&i| a.at(i) == b.at(i)).count();
        assert!(same < 10, "{same} fixed in common; about 1 expected");
    }

    #[test]
    fn halves_in_a_row_equal_single_ones() {
        let key = Key::new(3);
        for first in [0, 1, 6, 7, u32::MAX - 4, u32::MAX - 3, u32::MAX] {
            for len in 0..9u16 {
                let mut out = std::vec![0; len.into()];
                key.halves(first, &mut out);
                for (i, half) in out.into_iter().enumerate() {
                    assert_eq!(u32::from(half), key.half(first.wrapping_add(i as u32)));
                }
            }
        }
    }

    /// Chi-square over 256 cells, 65,536 draws: mean 255, standard deviation 22.6. Six sigma.
    fn chi_square(draw: impl Fn(u32) -> u32) -> f64 {
        let mut cells = [0u32; 256];
        for i in 0..65_536 {
            cells[(draw(i) & 255) as usize] += 1;
        }
        cells.iter().map(|&c| (f64::from(c) - 256.0).powi(2) / 256.0).sum()
    }

    #[test]
    fn every_byte_of_a_half_is_uniform() {
        for seed in 0..8 {
            let key = Key::new(seed);
            for shift in [0, 8] {
                let chi = chi_square(|i| key.half(i) >> shift);
                assert!((120.0..391.0).contains(&chi), "seed {seed} shift {shift}: {chi}");
            }
        }
    }

    #[test]
    fn neighbouring_keys_and_elements_are_uncorrelated() {
        for seed in 0..8 {
            let (a, b) = (Key::new(seed), Key::new(seed + 1));
            let (c, d) = (a.child(4), a.child(5));
            for chi in [
                chi_square(|i| (a.half(i) ^ b.half(i)) >> 4),
                chi_square(|i| (c.half(i) ^ d.half(i)) >> 4),
                chi_square(|i| (c.half(i) ^ c.half(i + 1)) >> 8),
                chi_square(|i| (c.half(i).wrapping_sub(d.half(i + 1))) >> 3),
            ] {
                assert!((120.0..391.0).contains(&chi), "seed {seed}: {chi}");
            }
        }
    }

    #[test]
    fn known_answers_pin_the_stream() {
        let key = Key::new(0x0123_4567_89ab_cdef).child(3);
        assert_eq!([key.word(0), key.word(1), key.word(u32::MAX)], KNOWN);
        assert_eq!(key.half(0) | key.half(1) << 16, key.word(0));
    }
    const KNOWN: [u32; 3] = [3_088_575_202, 3_632_701_511, 1_223_138_587];
}
