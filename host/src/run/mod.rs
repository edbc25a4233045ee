//! A training run and what it leaves behind.

pub mod record;
