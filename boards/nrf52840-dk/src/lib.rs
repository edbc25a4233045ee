//! What both programs of the nRF52840-DK share.
#![no_std]

use embedded_hal::digital::{ErrorType, OutputPin, PinState};
use nrf52840_hal::gpio::{Output, Pin, PushPull};

/// The lamps of this board are lit by a low level.
pub struct Inverted(pub Pin<Output<PushPull>>);

impl ErrorType for Inverted {
    type Error = <Pin<Output<PushPull>> as ErrorType>::Error;
}

impl OutputPin for Inverted {
    fn set_low(&mut self) -> Result<(), Self::Error> {
        self.0.set_state(PinState::High)
    }

    fn set_high(&mut self) -> Result<(), Self::Error> {
        self.0.set_state(PinState::Low)
    }
}
