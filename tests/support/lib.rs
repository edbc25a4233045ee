//! Shared by the tests of this package: random networks, and ways to train them.

pub mod coverage;
pub mod documents;
pub mod faulty;
pub mod flash;
pub mod forged;
pub mod golden;
pub mod gradcheck;
pub mod kernels;
pub mod layers;
pub mod line;
pub mod mutate;
pub mod net;
pub mod recorder;
pub mod reference;
pub mod resume;
pub mod rounding;
pub mod run;
pub mod settings;
