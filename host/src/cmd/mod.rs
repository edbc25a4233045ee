//! The verbs of the command line, one file each.

pub mod encode;
pub mod eval;
pub mod gradient_buffer;
pub mod import_config;
pub mod inspect;
mod output;
pub mod quantize;
pub mod schema;
pub mod sweep;
pub mod train;
