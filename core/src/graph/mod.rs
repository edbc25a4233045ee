//! The network as data: layer table, const builder, memory plan, arena.

mod builder;
mod layer;
mod message;

pub use builder::{Graph, GraphError, GraphView};
pub use layer::{Kind, Layer, Name};
pub use message::Message;
