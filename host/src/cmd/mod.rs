//! The verbs of the command line, one file each.

pub mod encode;
pub mod import_config;
pub mod inspect;
pub mod schema;
