//! Windows from an LIS2DH12, or from the LIS3DH, whose registers are the same.

use core::fmt;

use embedded_hal::{delay::DelayNs, i2c::I2c};
use lis2dh12::{Error, ErrorKind, FullScale, Lis2dh12, Mode, Odr, RawAccelerometer, SlaveAddr};

/// Readings of a window.
pub const WINDOW: usize = 100;
/// Ten seconds of readings, each of three axes, in units of 2^[`UNIT`] g.
pub type Window = [[i16; 3]; WINDOW];
/// The exponent of a reading's unit: 16 bits for plus and minus 4 g.
pub const UNIT: i16 = -13;

/// How often the part is asked for its next reading, and how many times in vain.
const PATIENCE_MS: u32 = 10;
const PATIENCE: usize = 30;

/// Why there is no window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SensorError<E> {
    /// What answers is another part.
    OtherPart,
    /// The bus failed while the part was set up.
    Setup(E),
    /// The bus failed.
    Bus {
        /// Readings that were there by then.
        readings: usize,
        /// What the bus says.
        cause: E,
    },
    /// The part answers and measures nothing.
    Silent {
        /// Readings that were there by then.
        readings: usize,
    },
}

impl<E: fmt::Debug> fmt::Display for SensorError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherPart => f.write_str(
                "the part at this address is no LIS2DH12 or LIS3DH: look at the wiring of its \
                 address pin",
            ),
            Self::Setup(cause) => write!(
                f,
                "the accelerometer did not take its settings ({cause:?}): look at its wiring"
            ),
            Self::Bus { readings, cause } => write!(
                f,
                "the bus failed after {readings} of {WINDOW} readings ({cause:?}); the window is \
                 lost, record another"
            ),
            Self::Silent { readings } => write!(
                f,
                "no reading for {} ms after {readings} of {WINDOW}: the part has lost its settings, \
                 set it up again",
                PATIENCE_MS as usize * PATIENCE
            ),
        }
    }
}

impl<E: fmt::Debug> core::error::Error for SensorError<E> {}

/// The accelerometer, ten readings a second.
pub struct Sensor<I2C> {
    driver: Lis2dh12<I2C>,
}

impl<I2C: I2c> Sensor<I2C> {
    /// Sets the part up: 10 Hz, 12 bits, plus and minus 4 g.
    pub fn new(i2c: I2C) -> Result<Self, SensorError<I2C::Error>> {
        let set_up = || {
            let mut driver = Lis2dh12::new(i2c, SlaveAddr::Default)?;
            driver.set_mode(Mode::HighResolution)?;
            driver.set_fs(FullScale::G4)?;
            // Both bytes of a reading are of the same moment.
            driver.set_bdu(true)?;
            driver.enable_axis((true, true, true))?;
            driver.set_odr(Odr::Hz10)?;
            Ok(Self { driver })
        };
        set_up().map_err(|error| match into_cause(error) {
            Some(cause) => SensorError::Setup(cause),
            None => SensorError::OtherPart,
        })
    }

    /// Waits for the readings of a window.
    pub fn record(
        &mut self,
        delay: &mut impl DelayNs,
        window: &mut Window,
    ) -> Result<(), SensorError<I2C::Error>> {
        for (readings, place) in window.iter_mut().enumerate() {
            let next = self.next(delay).map_err(|error| match into_cause(error) {
                Some(cause) => SensorError::Bus { readings, cause },
                None => SensorError::Silent { readings },
            });
            *place = next?;
        }
        Ok(())
    }

    /// The bus, for other parts.
    pub fn release(self) -> I2C {
        self.driver.destroy()
    }

    fn next(&mut self, delay: &mut impl DelayNs) -> Result<[i16; 3], Error<I2C::Error>> {
        for _ in 0..PATIENCE {
            if self.driver.get_status()?.zyxda {
                let reading = self.driver.accel_raw()?;
                return Ok([reading.x, reading.y, reading.z]);
            }
            delay.delay_ms(PATIENCE_MS);
        }
        Err(Error::new(ErrorKind::Device))
    }
}

/// What the bus said, where it was the bus.
fn into_cause<E: fmt::Debug>(error: Error<E>) -> Option<E> {
    error.cause().is_some().then(|| error.into_cause())
}

#[cfg(test)]
mod tests {
    use std::{string::ToString, vec, vec::Vec};

    use embedded_hal::i2c::{ErrorKind, NoAcknowledgeSource};
    use embedded_hal_mock::eh1::{
        delay::NoopDelay,
        i2c::{Mock, Transaction},
    };

    use super::*;

    const ADDRESS: u8 = 0x18;

    fn read(register: u8, answer: &[u8]) -> Transaction {
        Transaction::write_read(ADDRESS, vec![register], answer.to_vec())
    }

    /// A register that gets other bits.
    fn change(register: u8, from: u8, to: u8) -> [Transaction; 2] {
        [read(register, &[from]), Transaction::write(ADDRESS, vec![register, to])]
    }

    /// By the data sheet: the part as it is after power-up, and what must be in its registers.
    fn set_up() -> Vec<Transaction> {
        let changes = [
            change(0x20, 0x07, 0x07),
            change(0x23, 0x00, 0x08),
            change(0x23, 0x08, 0x18),
            change(0x23, 0x18, 0x98),
            change(0x20, 0x07, 0x07),
            change(0x20, 0x07, 0x27),
        ];
        [read(0x0f, &[0x33])].into_iter().chain(changes.into_iter().flatten()).collect()
    }

    /// A status without and one with a new reading, and the reading.
    fn reading(index: u8) -> [Transaction; 3] {
        let bytes = [index, 0x01, index, 0x80, 0xff, 0xff];
        [read(0x27, &[0]), read(0x27, &[0x0f]), read(0xa8, &bytes)]
    }

    fn record(script: &[Transaction], window: &mut Window) -> Result<(), SensorError<ErrorKind>> {
        let mut mock = Mock::new(script);
        let result = Sensor::new(&mut mock)
            .and_then(|mut sensor| sensor.record(&mut NoopDelay::new(), window));
        mock.done();
        result
    }

    #[test]
    fn a_window_is_a_hundred_readings_as_they_come() {
        let readings = (0..WINDOW as u8).flat_map(reading);
        let script: Vec<_> = set_up().into_iter().chain(readings).collect();
        let mut window = [[0; 3]; WINDOW];
        assert_eq!(record(&script, &mut window), Ok(()));
        for (i, reading) in (0..).zip(window) {
            assert_eq!(reading, [0x0100 + i, i16::MIN + i, -1]);
        }
    }

    #[test]
    fn a_bus_that_fails_says_when() {
        let cause = ErrorKind::NoAcknowledge(NoAcknowledgeSource::Address);
        let mut window = [[0; 3]; WINDOW];
        let script = [read(0x0f, &[0x33]).with_error(cause)];
        assert_eq!(record(&script, &mut window), Err(SensorError::Setup(cause)));

        let mut script: Vec<_> = set_up().into_iter().chain((0..37).flat_map(reading)).collect();
        script.push(read(0x27, &[0x0f]));
        script.push(read(0xa8, &[0; 6]).with_error(cause));
        let error = record(&script, &mut window).unwrap_err();
        assert_eq!(error, SensorError::Bus { readings: 37, cause });
        assert!(error.to_string().contains("after 37 of 100 readings"), "{error}");
    }

    #[test]
    fn another_part_and_a_silent_one_are_refused() {
        let mut window = [[0; 3]; WINDOW];
        let script = [read(0x0f, &[0x68])];
        assert_eq!(record(&script, &mut window), Err(SensorError::OtherPart));
        let mut script = set_up();
        script.extend(vec![read(0x27, &[0]); PATIENCE]);
        let error = record(&script, &mut window).unwrap_err();
        assert_eq!(error, SensorError::Silent { readings: 0 });
        assert!(error.to_string().starts_with("no reading for 300 ms"), "{error}");
    }
}
