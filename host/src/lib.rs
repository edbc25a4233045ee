//! The desktop side of fixgrad.

pub mod cli;
pub mod cmd;
pub mod config;
pub mod data;
pub mod files;
pub mod import;
pub mod kernel;
pub mod link;
pub mod logging;
pub mod plan;
pub mod quantize;
pub mod report;
pub mod run;
pub mod sweep;
