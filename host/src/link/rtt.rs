//! The memory of a chip as a stream: RTT, ring buffers that a debug probe reads and writes while
//! the chip runs (SEGGER, "Real Time Transfer"). The probe is probe-rs' business.

use std::{
    io::{self, ErrorKind, Read, Write},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use probe_rs::{
    Session, SessionConfig,
    config::TargetSelector,
    rtt::{Error, Rtt},
};

/// What firmware calls the pair of channels of the link. Its log has another one.
const CHANNEL: &str = "fixgrad";

/// Both directions of the link, and the probe that moves them.
struct Channels {
    session: Session,
    rtt: Rtt,
    up: usize,
    down: usize,
    silence: Duration,
}

/// Opens the channels of the chip at the first probe. The chip goes on running. Without a name,
/// the probe finds out which chip it is, where it can.
pub(super) fn open(
    chip: Option<&str>,
    silence: Duration,
) -> Result<impl Read + Write + Send + use<>> {
    let target = chip.map_or(TargetSelector::Auto, TargetSelector::from);
    let mut session = Session::auto_attach(target, SessionConfig::default()).context(
        "no probe with this chip: is it plugged in, and may you use it? `probe-rs chip list` has \
         the names for rtt:CHIP",
    )?;
    let mut rtt = Rtt::attach(&mut session.core(0)?)
        .context("the memory of the chip has no RTT channels: does a firmware with RTT run?")?;
    let up = rtt.up_channels().iter().position(|channel| channel.name() == Some(CHANNEL));
    let down = rtt.down_channels().iter().position(|channel| channel.name() == Some(CHANNEL));
    let missing = || {
        format!("the firmware has no RTT channels called `{CHANNEL}`: flash one that has the link")
    };
    let (up, down) = (up.with_context(missing)?, down.with_context(missing)?);
    Ok(Channels { session, rtt, up, down, silence })
}

impl Read for Channels {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let end = Instant::now() + self.silence;
        loop {
            let mut core = self.session.core(0).map_err(io::Error::other)?;
            let up = self.rtt.up_channel(self.up).ok_or(ErrorKind::NotConnected)?;
            match up.read(&mut core, bytes).map_err(failure)? {
                0 if Instant::now() < end => {}
                0 => return Err(ErrorKind::TimedOut.into()),
                read => return Ok(read),
            }
        }
    }
}

impl Write for Channels {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let end = Instant::now() + Duration::from_secs(5);
        loop {
            let mut core = self.session.core(0).map_err(io::Error::other)?;
            let down = self.rtt.down_channel(self.down).ok_or(ErrorKind::NotConnected)?;
            match down.write(&mut core, bytes).map_err(failure)? {
                // The chip has not read yet what came before.
                0 if !bytes.is_empty() && Instant::now() < end => {}
                0 if !bytes.is_empty() => return Err(ErrorKind::TimedOut.into()),
                written => return Ok(written),
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A probe that was pulled out, or a chip that started anew with channels elsewhere.
fn failure(error: Error) -> io::Error {
    io::Error::new(ErrorKind::ConnectionAborted, error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_chip_is_refused_in_words() {
        let error = open(Some("no such chip"), Duration::ZERO).err().unwrap();
        assert!(error.to_string().contains("probe-rs chip list"), "{error:#}");
    }
}
