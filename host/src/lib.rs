//! The desktop side of fixgrad.

pub mod data;
pub mod report;
pub mod run;
