//! Optimisers and learning-rate schedules.

mod descend;
mod lr;
mod momentum;
mod rule;
mod sgd;

pub(crate) use descend::block;
pub use descend::{Descend, Descent};
pub use lr::{Lr, Schedule};
pub use momentum::Momentum;
pub(crate) use momentum::velocity_bits;
pub use rule::{Optimizer, Rule};
pub use sgd::Update;
