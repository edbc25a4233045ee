//! Whether a kernel gives the numbers of [`Scalar`](super::Scalar): for those who port one.
//!
//! Assembly runs on its chip only, where no test of a desktop comes. These checks run where the
//! kernel does, without a heap, in about 8 KB of stack and a second of an emulated chip. A program
//! that calls none of them links none of them. What is random is made of the number of a case, so
//! every machine can repeat the case of a [`Fault`].
//!
//! ```
//! use fixgrad::kernel::{Device, check};
//!
//! let kernel = Device::default();
//! check::products(&kernel)?;
//! check::convolutions(&kernel)?;
//! check::elements(&kernel)?;
//! check::loops()?;
//! # Ok::<(), check::Fault>(())
//! ```

mod case;
mod convolutions;
mod elements;
mod loops;
mod products;

use core::fmt;

pub use convolutions::convolutions;
pub use elements::elements;
pub use loops::loops;
pub use products::products;

/// A promise that is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Fault {
    /// A function of [`Kernel`](super::Kernel), or a loop of the chip.
    pub part: &'static str,
    /// What it does wrong.
    pub wrong: Wrong,
    /// The case that shows it.
    pub case: u32,
}

/// What a part of a kernel does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Wrong {
    /// Sums, codes or weights.
    Numbers,
    /// How many values were clipped, or became zero.
    Counts,
    /// Something outside the slice was written.
    Beyond,
    /// This chip is said to have the loop, which did not run.
    Missing,
    /// This chip is not said to have the loop, which ran.
    Unlisted,
}

impl Wrong {
    /// In words.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Numbers => "gives other numbers than the scalar kernel",
            Self::Counts => "counts otherwise than the scalar kernel",
            Self::Beyond => "writes outside its slice",
            Self::Missing => "did not run, although this chip is said to have it",
            Self::Unlisted => "ran, although this chip is not said to have it",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { part, wrong, case } = self;
        write!(f, "{part} {}: case {case}, which every machine can repeat", wrong.text())
    }
}

impl core::error::Error for Fault {}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;

    #[test]
    fn a_fault_is_a_sentence() {
        let fault = Fault { part: "loop codes", wrong: Wrong::Missing, case: 7 };
        assert_eq!(
            fault.to_string(),
            "loop codes did not run, although this chip is said to have it: case 7, which every \
             machine can repeat"
        );
    }
}
