//! Where a board is, and the stream to it.

use std::{fmt, net::TcpStream, str::FromStr, time::Duration};

use anyhow::{Context, Result};

use super::client::Stream;

/// Reads return after this long without a byte.
const SILENCE: Duration = Duration::from_millis(10);
const BAUD: u32 = 115_200;

/// Where a board is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A serial port.
    Serial {
        /// Its name, `/dev/ttyACM0` or `COM3`.
        port: String,
        /// Bits a second.
        baud: u32,
    },
    /// A socket: an emulator, a debug server, or another desktop.
    Tcp(String),
    /// The memory of a chip, through a debug probe.
    Rtt {
        /// What probe-rs calls the chip; without it, the probe finds out.
        chip: Option<String>,
    },
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = "expected serial:PORT, serial:PORT@BAUD, tcp:HOST:PORT, rtt or rtt:CHIP";
        match text.split_once(':') {
            Some(("serial", rest)) if !rest.is_empty() => {
                let (port, baud) = match rest.rsplit_once('@') {
                    Some((port, baud)) => {
                        let number = baud.parse().ok().filter(|&baud| baud > 0);
                        (port, number.ok_or(format!("`{baud}` is no baud rate; {expected}"))?)
                    }
                    None => (rest, BAUD),
                };
                Ok(Self::Serial { port: port.to_owned(), baud })
            }
            Some(("tcp", rest)) if rest.contains(':') => Ok(Self::Tcp(rest.to_owned())),
            Some(("rtt", chip)) if !chip.is_empty() => {
                Ok(Self::Rtt { chip: Some(chip.to_owned()) })
            }
            None if text == "rtt" => Ok(Self::Rtt { chip: None }),
            _ => Err(expected.to_owned()),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Serial { port, baud } => write!(f, "serial:{port}@{baud}"),
            Self::Tcp(address) => write!(f, "tcp:{address}"),
            Self::Rtt { chip: None } => f.write_str("rtt"),
            Self::Rtt { chip: Some(chip) } => write!(f, "rtt:{chip}"),
        }
    }
}

/// Opens the stream to a board.
pub fn open(address: &Address) -> Result<Box<dyn Stream>> {
    match address {
        Address::Serial { port, baud } => {
            let port = serialport::new(port, *baud).timeout(SILENCE).open();
            Ok(Box::new(port.with_context(|| {
                format!(
                    "{address}: the port cannot be opened; is it the right one, and may you use it?"
                )
            })?))
        }
        Address::Tcp(host) => {
            let stream = TcpStream::connect(host)
                .with_context(|| format!("{address}: nobody listens there"))?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(SILENCE))?;
            Ok(Box::new(stream))
        }
        #[cfg(feature = "rtt")]
        Address::Rtt { chip } => Ok(Box::new(
            super::rtt::open(chip.as_deref(), SILENCE).with_context(|| address.to_string())?,
        )),
        #[cfg(not(feature = "rtt"))]
        Address::Rtt { .. } => anyhow::bail!(
            "{address}: this program was built without probe-rs, which reads the memory of a chip \
             through its debug probe; get one that has it with \
             `cargo install --path host --features rtt`, or let OpenOCD serve the channels \
             (`rtt server start PORT 1`) and use tcp:HOST:PORT"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_wrong_ones_say_what_is_right() {
        let serial = |port: &str, baud| Address::Serial { port: port.to_owned(), baud };
        for (text, address) in [
            ("serial:/dev/ttyACM0", serial("/dev/ttyACM0", 115_200)),
            ("serial:COM3@9600", serial("COM3", 9_600)),
            ("tcp:localhost:1234", Address::Tcp("localhost:1234".to_owned())),
            ("rtt", Address::Rtt { chip: None }),
            ("rtt:nRF52840_xxAA", Address::Rtt { chip: Some("nRF52840_xxAA".to_owned()) }),
        ] {
            assert_eq!(text.parse(), Ok(address.clone()));
            assert_eq!(address.to_string().parse(), Ok(address));
        }
        for text in
            ["", "rtt:", "serial:", "serial:x@fast", "serial:x@0", "tcp:host", "usb:1", "/dev/x"]
        {
            assert!(text.parse::<Address>().unwrap_err().contains("expected serial:"), "{text}");
        }
        let error = open(&Address::Rtt { chip: None }).err().unwrap();
        assert!(format!("{error:#}").contains("probe"), "{error:#}");
        let missing = serial("/nowhere/tty", 9_600);
        assert!(open(&missing).err().unwrap().to_string().starts_with("serial:/nowhere/tty@9600"));
    }
}
