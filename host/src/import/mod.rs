//! Configurations of other tools, turned into ours.

mod nics_fix;
mod quantisers;
mod source;
mod strategies;

pub use nics_fix::{Imported, nics_fix};
