//! The options that say where a board is.

use std::time::Duration;

use anyhow::Result;
use tracing::info;

use crate::link::{Address, Client, Patience, open};

/// Where the board is, and how long to wait for it.
#[derive(Debug, clap::Args)]
pub(crate) struct Line {
    /// Where the board is: serial:PORT, serial:PORT@BAUD, tcp:HOST:PORT, rtt or rtt:CHIP.
    #[arg(long, value_name = "ADDRESS")]
    link: Address,
    /// Seconds without an answer after which to give up.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..))]
    patience: u32,
}

impl Line {
    /// Opens the line and greets the board.
    pub(crate) fn connect(&self) -> Result<Client> {
        let total = Duration::from_secs(self.patience.into());
        let client = Client::connect(open(&self.link)?, Patience { total, ..Patience::default() })?;
        let device = client.device();
        info!(
            "{}: fixgrad {}, graph {:08x}, arena {} of {} bytes, store {} bytes, frames of {} bytes",
            device.board,
            device.fixgrad,
            device.graph,
            device.ram,
            device.arena,
            device.store,
            device.frame
        );
        Ok(client)
    }
}
