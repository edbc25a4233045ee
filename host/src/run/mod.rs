//! A training run and what it leaves behind.

pub mod log;
pub mod record;
