//! `fixgrad board`: this machine stands in for a board.

use std::{io::Write, net::TcpListener, path::PathBuf};

use anyhow::{Context, Result};

use crate::{
    link::StandIn,
    run::{Job, Overrides},
};

/// Serve the link on a socket, with the code that a board runs.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The configuration that it begins with.
    #[arg(value_name = "FILE.yaml")]
    file: PathBuf,
    /// Where to listen; port 0 takes any.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:0")]
    listen: String,
    /// Where data sets are looked for first.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Bytes of the arena; by default as many as the configuration needs.
    #[arg(long, value_name = "BYTES", default_value_t = 0)]
    arena: usize,
    /// Bytes of the store.
    #[arg(long, value_name = "BYTES", default_value_t = 1 << 16)]
    store: usize,
    /// Bytes of the longest frame.
    #[arg(long, value_name = "BYTES", default_value_t = 1024)]
    frame: usize,
    /// Work with no other network.
    #[arg(long)]
    fixed: bool,
}

/// Listens, says where, and serves.
pub fn run(args: &Args) -> Result<()> {
    let job = Job::read(&args.file, args.data.as_deref(), Overrides::default())?;
    let listener = TcpListener::bind(&args.listen)
        .with_context(|| format!("{}: cannot be listened on", args.listen))?;
    println!("tcp:{}", listener.local_addr()?);
    std::io::stdout().flush()?;
    let board = StandIn {
        data: Some(&job.data),
        fixed: args.fixed,
        arena: args.arena,
        store: args.store,
        frame: args.frame,
    };
    board.serve(listener, &job.compiled)
}
