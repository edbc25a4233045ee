//! Optimisers and learning-rate schedules.

mod lr;
mod momentum;
mod sgd;

pub use lr::{Lr, Schedule};
pub use momentum::Momentum;
pub use sgd::Update;
