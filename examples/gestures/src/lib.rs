//! A classifier of activities that its wearer teaches, on the chip: put the watch on, do something,
//! press the button of what it was. No host takes part.
//!
//! A window of ten seconds comes from a 3-axis accelerometer over I2C ([`Sensor`]), becomes fifteen
//! bytes ([`features`]), and is learned from together with what is remembered of earlier windows
//! ([`Learner`]). [`session`](session::session) is the whole program; it has no arithmetic. Read it first.
//!
//! [`recorded`] holds real recordings, and [`Played`] gives them to the sensor's driver as the part
//! on the bus would. So a desktop and an emulated chip run all of it.

#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

mod features;
mod learner;
mod played;
pub mod recorded;
mod sensor;
pub mod session;

pub use features::{FEATURES, features};
pub use learner::{Activity, Kept, Learner, LearnerTrainer, Room, Teaching, teaching, trainer};
pub use played::{NoWait, Played};
pub use sensor::{Sensor, SensorError, UNIT, WINDOW, Window};
