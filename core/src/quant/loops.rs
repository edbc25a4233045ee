//! What a kernel may do its own way for a quantiser. Here, so that quantisers need to know no kernel.

use super::Counts;
use crate::rng::Key;

/// One of [`Loops`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loop {
    /// [`Loops::codes`].
    Codes,
    /// [`Loops::biased`].
    Biased,
    /// [`Loops::descend`].
    Descend,
}

impl Loop {
    /// All of them.
    pub(crate) const ALL: [Self; 3] = [Self::Codes, Self::Biased, Self::Descend];

    /// For a report.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Codes => "loop codes",
            Self::Biased => "loop biased",
            Self::Descend => "loop descend",
        }
    }
}

/// Loops over pairs that a chip may have its own way; `None` where it has not. The first pair draws
/// the random word `index`, and the next ones those behind it. All drop 1 to 30 bits of sums below
/// 2^30.
pub(crate) trait Loops {
    /// Those that the chip has. What it has and does not run is a fault
    /// ([`check::loops`](crate::kernel::check::loops)).
    const OWN: &'static [Loop] = &[];

    /// Codes of eight bits that saturate, rounded with random numbers.
    fn codes(_: Key, _index: u32, _k: u32, _: &[[i32; 2]], _: &mut [[i8; 2]]) -> Option<Counts> {
        None
    }

    /// Codes of eight bits that saturate, after adding `[always, odd]` as [`QuickCarry::Bias`](super::compact::QuickCarry::Bias) has it.
    fn biased(_: [i32; 2], _k: u32, _: &[[i32; 2]], _: &mut [[i8; 2]]) -> Option<Counts> {
        None
    }

    /// As [`codes`](Self::codes); and the codes times `rate`, of which `shift` bits are dropped after
    /// adding random numbers of the second key, move eight bits of the weights, which saturate.
    /// Products stay below 2^30.
    fn descend(
        _keys: [Key; 2],
        _index: u32,
        _k_and_shift: [u32; 2],
        _rate: i32,
        _: &[[i32; 2]],
        _weights: &mut [[i8; 2]],
    ) -> Option<Counts> {
        None
    }
}

/// No loops of a chip's own.
#[cfg(any(test, not(any(target_arch = "arm", target_arch = "riscv32"))))]
pub(crate) struct Plain;
#[cfg(any(test, not(any(target_arch = "arm", target_arch = "riscv32"))))]
impl Loops for Plain {}
