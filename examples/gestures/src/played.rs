//! Recordings as the accelerometer would give them: a part on a bus, down to its registers.

use embedded_hal::{
    delay::DelayNs,
    i2c::{ErrorKind, ErrorType, I2c, NoAcknowledgeSource, Operation},
};

use crate::recorded::Recording;

const ADDRESS: u8 = 0x18;
/// In front of a register's number: go on with the next ones.
const AND_NEXT: u8 = 0x80;

const WHO_AM_I: usize = 0x0f;
const CTRL_REG1: usize = 0x20;
const CTRL_REG4: usize = 0x23;
const STATUS: usize = 0x27;
const OUT: usize = 0x28;
const OUT_END: usize = 0x2d;

/// A bus with an LIS2DH12 that measures what was once recorded.
#[derive(Clone, Debug)]
pub struct Played<R> {
    recordings: R,
    now: Option<Recording>,
    /// Readings of that recording that were fetched.
    fetched: usize,
    registers: [u8; 64],
    /// The register that is read next.
    at: u8,
}

impl<R: Iterator<Item = Recording>> Played<R> {
    /// A part that plays these one after the other. Behind the last it is unplugged.
    pub fn new(mut recordings: R) -> Self {
        let mut registers = [0; 64];
        registers[WHO_AM_I] = 0x33;
        registers[CTRL_REG1] = 0x07;
        let now = recordings.next();
        Self { recordings, now, fetched: 0, registers, at: 0 }
    }

    /// Whether it measures: 10 Hz on all axes, at plus and minus 4 g with 12 bits. A part that is
    /// set otherwise gives other numbers; this one gives none.
    fn measures(&self) -> bool {
        self.registers[CTRL_REG1] == 0x27 && self.registers[CTRL_REG4] & 0x38 == 0x18
    }

    fn write(&mut self, bytes: &[u8]) {
        let Some((&register, values)) = bytes.split_first() else { return };
        self.at = register;
        for &value in values {
            let place = self.next_register();
            self.registers[place] = value;
        }
    }

    fn read(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            let place = self.next_register();
            if place == STATUS && self.measures() {
                self.measure();
            }
            *byte = self.registers[place];
            if place == OUT_END {
                self.registers[STATUS] = 0;
            }
        }
    }

    fn next_register(&mut self) -> usize {
        let place = usize::from(self.at & 0x3f);
        if self.at & AND_NEXT != 0 {
            self.at = self.at.wrapping_add(1) | AND_NEXT;
        }
        place
    }

    /// Time is no matter here: whoever asks for a reading finds the next.
    fn measure(&mut self) {
        let unread = self.registers[STATUS] != 0;
        let reading = self.now.and_then(|recording| recording.reading(self.fetched));
        if let Some(reading) = reading.filter(|_| !unread) {
            self.registers[OUT..=OUT_END].copy_from_slice(reading);
            self.registers[STATUS] = 0x0f;
            self.fetched += 1;
        }
    }
}

impl<R> ErrorType for Played<R> {
    type Error = ErrorKind;
}

impl<R: Iterator<Item = Recording>> I2c for Played<R> {
    fn transaction(
        &mut self,
        address: u8,
        operations: &mut [Operation<'_>],
    ) -> Result<(), ErrorKind> {
        let is_over = |recording: Recording| recording.reading(self.fetched).is_none();
        if self.now.is_some_and(is_over) && self.registers[STATUS] == 0 {
            (self.now, self.fetched) = (self.recordings.next(), 0);
        }
        if address != ADDRESS || self.now.is_none() {
            return Err(ErrorKind::NoAcknowledge(NoAcknowledgeSource::Address));
        }
        for operation in operations {
            match operation {
                Operation::Write(bytes) => self.write(bytes),
                Operation::Read(bytes) => self.read(bytes),
            }
        }
        Ok(())
    }
}

/// Takes no time.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoWait;

impl DelayNs for NoWait {
    fn delay_ns(&mut self, _: u32) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        recorded,
        sensor::{Sensor, SensorError, WINDOW},
    };

    #[test]
    fn the_driver_gets_what_was_recorded() {
        let mut sensor = Sensor::new(Played::new(recorded::held_out())).unwrap();
        let mut window = [[0; 3]; WINDOW];
        for recording in recorded::held_out() {
            sensor.record(&mut NoWait, &mut window).unwrap();
            assert_eq!(window, recording.window());
        }
        let cause = ErrorKind::NoAcknowledge(NoAcknowledgeSource::Address);
        let over = sensor.record(&mut NoWait, &mut window);
        assert_eq!(over, Err(SensorError::Bus { readings: 0, cause }));
    }

    #[test]
    fn a_part_that_was_not_set_up_is_silent() {
        let mut bus = Played::new(recorded::held_out());
        let mut status = [7];
        bus.write_read(ADDRESS, &[STATUS as u8], &mut status).unwrap();
        assert_eq!(status, [0]);
    }
}
