//! The network as data: layer table, const builder, memory plan, arena.

mod arena;
mod builder;
mod layer;
mod message;
mod plan;

pub(crate) use arena::pick;
pub use arena::{Arena, too_small};
pub use builder::{Graph, GraphError, GraphView};
pub use layer::{Kind, Layer, Name};
pub use message::Message;
pub(crate) use plan::trains;
pub use plan::{HookNeeds, LayerPlan, ParamPlan, Plan, PlanError, Region, Sizes, Sum};
