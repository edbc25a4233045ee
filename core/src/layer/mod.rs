//! One file per layer: forward and backward over views, thin over kernels.

pub(crate) mod dense;
pub(crate) mod relu;
