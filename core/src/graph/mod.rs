//! The network as data: layer table, const builder, memory plan, arena.

mod arena;
mod builder;
mod cursor;
mod demand;
mod error;
mod layer;
mod message;
mod plan;
mod region;
mod view;

pub(crate) use arena::pick;
pub use arena::{Arena, too_small};
pub use builder::Graph;
pub use error::{GraphError, PlanError};
pub use layer::{Kind, Layer, Name};
pub use message::Message;
pub(crate) use plan::trains;
pub use plan::{HookNeeds, Plan, Sizes};
pub use region::{LayerPlan, ParamPlan, Region, Sum};
pub use view::GraphView;
