//! Optimisers and learning-rate schedules.

mod block;
mod descend;
mod lr;
mod momentum;
mod quick;
mod rule;
mod schedule;
mod sgd;

pub(crate) use block::block;
pub use descend::{Descend, Descent};
pub use lr::Lr;
pub use momentum::Momentum;
pub(crate) use momentum::velocity_bits;
pub use rule::{Optimizer, Rule};
pub use schedule::Schedule;
pub use sgd::Update;
