//! What the firmware of all boards shares.
//!
//! A board brings memory, a counter and a way out for text; [`run`] trains on it and tells what
//! happened. With a serial line and flash besides, [`station::serve`] trains as a desktop says, and
//! keeps what it is told to keep. The example `desktop` is the same run on the machine that built it, so the two can be
//! compared line by line.
#![no_std]

#[cfg(test)]
extern crate std;

#[cfg(all(target_os = "none", target_arch = "arm"))]
mod arm;
#[cfg(all(target_os = "none", target_arch = "arm"))]
pub mod cmsdk;
#[cfg(test)]
mod desk;
pub mod digits;
mod keeper;
#[cfg(target_os = "none")]
mod kept;
mod nor;
pub mod products;
#[cfg(target_os = "none")]
pub mod qemu;
mod report;
#[cfg(all(target_os = "none", target_arch = "riscv32"))]
mod riscv;
mod run;
#[cfg(target_os = "none")]
mod stack;
pub mod station;

pub use keeper::{KeepError, Keeper};
pub use nor::{NorError, NorInRam};
pub use run::{Board, Error, run};
