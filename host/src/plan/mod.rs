//! Memory: which moment of a step needs the most of it, and what can be trained in how much.

mod peak;
mod propose;

pub use peak::Peak;
pub use propose::{Proposal, TooSmall, propose};
