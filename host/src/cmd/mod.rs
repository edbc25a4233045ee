//! The verbs of the command line, one file each.

pub mod board;
pub mod encode;
pub mod eval;
pub mod fold;
pub mod gradient_buffer;
pub mod import_config;
pub mod inspect;
mod line;
pub mod monitor;
mod output;
pub mod plan;
pub mod pull;
pub mod push;
pub mod quantize;
pub mod schema;
pub mod store;
pub mod stream;
pub mod sweep;
pub mod train;
pub mod verify;
