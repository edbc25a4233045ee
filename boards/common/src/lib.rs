//! What the firmware of all boards shares.
//!
//! A board brings memory, a counter and a way out for text; [`run`] trains on it and tells what
//! happened. With a serial line and flash besides, [`station::serve`] trains as a desktop says, and
//! keeps what it is told to keep. The feature `qemu` has the rest that emulated boards need, and
//! `device` that of real ones. The example `desktop` is the same run on the machine that built it, so the two can be
//! compared line by line.
#![no_std]

#[cfg(test)]
extern crate std;

#[cfg(all(feature = "qemu", target_os = "none", target_arch = "arm"))]
mod arm;
#[cfg(all(feature = "qemu", target_os = "none", target_arch = "arm"))]
pub mod cmsdk;
pub mod cnn;
#[cfg(test)]
mod desk;
#[cfg(all(feature = "device", target_os = "none"))]
pub mod device;
pub mod digits;
pub mod dscnn;
mod keeper;
#[cfg(target_os = "none")]
pub mod kept;
pub mod kernel;
pub mod lenet;
pub mod mlp;
mod nor;
pub mod pages;
#[cfg(all(feature = "qemu", target_os = "none"))]
pub mod qemu;
mod report;
#[cfg(all(feature = "qemu", target_os = "none", target_arch = "riscv32"))]
mod riscv;
#[cfg(all(feature = "rtt", target_os = "none"))]
pub mod rtt;
mod run;
#[cfg(all(feature = "qemu", target_os = "none"))]
pub mod semihosted;
pub mod serial;
#[cfg(target_os = "none")]
mod stack;
pub mod station;
pub mod training;
pub mod tune;
#[cfg(all(feature = "device", target_os = "none"))]
pub mod xip;

pub use fixgrad::kernel::Scalar;
pub use keeper::{KeepError, Keeper};
pub use nor::{NorError, NorInRam};
pub use run::{Board, Error, run};
pub use training::Training;
