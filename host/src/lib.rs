//! The desktop side of fixgrad.

pub mod cmd;
pub mod config;
pub mod data;
pub mod kernel;
pub mod files;
pub mod import;
pub mod report;
pub mod run;
