//! A running QEMU with a line on a socket, a control channel, and what the firmware tells.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::emulate;
use super::files::Files;
use crate::board::{Board, Line};
use crate::toolchain;

/// The longest time that a healthy QEMU takes to start.
const START: Duration = Duration::from_secs(20);

/// A running machine; it ends when this is dropped.
pub(super) struct Machine {
    child: Child,
    control: BufReader<TcpStream>,
    lines: Receiver<String>,
    /// Its line, where that goes through files.
    files: Option<Files>,
    /// Where its line is, as `--link` wants it.
    pub(super) link: String,
}

impl Machine {
    /// Starts QEMU with the firmware.
    pub(super) fn start(board: &Board, firmware: &Path) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").context("no port to be had")?;
        let mut command = emulate::machine(board, firmware)?;
        let files = match board.about.streams.as_ref().map(|streams| streams.line) {
            Some(Line::Files) => {
                // A port of ours is nobody else's, so several of a board can be emulated at once.
                let name = format!("line-{}-{}", board.name, listener.local_addr()?.port());
                let files = Files::new(toolchain::target_dir().join(name))?;
                command.args(["-serial", "none"]).current_dir(files.folder());
                Some(files)
            }
            _ => {
                // QEMU looks for a port itself and says which. It writes answers byte by byte: none must
                // wait until the one before is acknowledged.
                command.args(["-serial", "tcp:127.0.0.1:0,server=on,wait=off,nodelay=on"]);
                None
            }
        };
        command
            .args(["-semihosting-config", "enable=on,target=native"])
            .arg("-qmp")
            .arg(format!("tcp:{}", listener.local_addr()?))
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        let mut child = spawn(&mut command)?;
        let stream = match accept(&listener, &mut child) {
            Ok(stream) => stream,
            Err(error) => {
                // Whatever became of it, it is not needed.
                let _ = child.kill();
                let _ = child.wait();
                return Err(error);
            }
        };
        let lines = read_lines(&mut child)?;
        let control = BufReader::new(stream);
        let mut machine = Self { child, control, lines, files, link: String::new() };
        machine.read()?;
        machine.execute("qmp_capabilities")?;
        machine.link = match &machine.files {
            Some(files) => files.link.clone(),
            None => link_in(&machine.execute("query-chardev")?)?,
        };
        Ok(machine)
    }

    /// Turns the machine off and on: programs start again, and memory that no program is loaded to
    /// stays.
    pub(super) fn reset(&mut self) -> Result<()> {
        if let Some(files) = &self.files {
            files.empty()?;
        }
        self.execute("system_reset").map(|_| ())
    }

    /// The next line that the firmware tells.
    pub(super) fn line(&self, patience: Duration) -> Result<String> {
        self.lines.recv_timeout(patience).context("the firmware is silent")
    }

    fn execute(&mut self, command: &str) -> Result<Value> {
        writeln!(self.control.get_mut(), "{}", json!({ "execute": command }))?;
        loop {
            let answer = self.read()?;
            // Events come in between.
            if let Some(value) = answer.get("return") {
                return Ok(value.clone());
            }
            if let Some(error) = answer.get("error") {
                bail!("QEMU refuses {command}: {error}");
            }
        }
    }

    fn read(&mut self) -> Result<Value> {
        let mut line = String::new();
        if self.control.read_line(&mut line)? == 0 {
            bail!("QEMU has ended");
        }
        Ok(serde_json::from_str(&line)?)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // It may have ended by itself, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(command: &mut Command) -> Result<Child> {
    let name = command.get_program().to_string_lossy().into_owned();
    command.spawn().with_context(|| format!("cannot start {name}"))
}

/// Waits for QEMU to connect, unless it ends.
fn accept(listener: &TcpListener, child: &mut Child) -> Result<TcpStream> {
    listener.set_nonblocking(true)?;
    let begin = Instant::now();
    loop {
        if let Ok((stream, _)) = listener.accept() {
            stream.set_nonblocking(false)?;
            stream.set_read_timeout(Some(START))?;
            return Ok(stream);
        }
        if let Some(status) = child.try_wait()? {
            bail!("QEMU ended at its start: {status}");
        }
        if begin.elapsed() > START {
            bail!("QEMU did not start within {} s", START.as_secs());
        }
        thread::sleep(Duration::from_millis(10));
    }
}

fn read_lines(child: &mut Child) -> Result<Receiver<String>> {
    let stdout = child.stdout.take().context("a pipe was asked for")?;
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    Ok(receiver)
}

/// The address of the serial line among QEMU's character devices.
fn link_in(devices: &Value) -> Result<String> {
    let devices = devices.as_array().map(Vec::as_slice).unwrap_or_default();
    let serial = devices.iter().find(|device| device["label"] == "serial0");
    let name = serial.and_then(|serial| serial["filename"].as_str()).unwrap_or_default();
    // Such as `disconnected:tcp:127.0.0.1:34567,server=on`.
    let address = name.split_once("tcp:").and_then(|(_, rest)| rest.split(',').next());
    match address.filter(|address| !address.ends_with(":0")) {
        Some(address) => Ok(format!("tcp:{address}")),
        None => bail!("QEMU does not say where its serial line is: `{name}`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_serial_line_is_found_among_the_devices() {
        let devices = json!([
            { "label": "compat_monitor0", "filename": "tcp:127.0.0.1:1" },
            { "label": "serial0", "filename": "disconnected:tcp:127.0.0.1:34567,server=on" },
        ]);
        assert_eq!(link_in(&devices).expect("an address"), "tcp:127.0.0.1:34567");
        assert!(link_in(&json!([])).is_err());
    }
}
