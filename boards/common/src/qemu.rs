//! The emulated boards: text goes out by semihosting, and the number of steps comes in by it.

use core::panic::PanicInfo;

use embedded_io::{Read, ReadReady};
use embedded_storage::nor_flash::NorFlash;
use fixgrad::{
    kernel::{Device, Kernel},
    link::{Network, ServeError},
};
use semihosting::{experimental::env, io, process};

#[cfg(target_arch = "arm")]
use crate::arm::Counter;
#[cfg(target_arch = "riscv32")]
use crate::riscv::Counter;
use crate::{
    Board, NorInRam, Training, kept, kernel,
    report::Line,
    semihosted::Files,
    stack,
    station::{self, Memory},
    training::Start,
};

const COMMAND_LINE: usize = 64;
const DEFAULT_STEPS: u32 = 44;

/// These machines have no flash that a program can write to. Memory that the linker leaves alone
/// stands in, with the rules of the real part's flash: words of `WORD` bytes, pages of `PAGE`. It
/// outlives a reset of the machine, and not QEMU. There is one.
pub fn flash<const WORD: usize, const PAGE: usize>() -> NorInRam<'static, WORD, PAGE> {
    let Some(kept) = kept::take() else { fail("no memory to keep, line", line!()) };
    NorInRam::new(kept)
}

/// The line through two files.
pub fn files() -> Files {
    Files::open().unwrap_or_else(|_| fail("no files for a line, line", line!()))
}

/// Serves the link on `line` and ends QEMU when the line fails, which it does not.
pub fn serve<const N: usize, const RAM: usize, const STORE: usize>(
    name: &'static str,
    own: fn() -> Network<N>,
    memory: &mut Memory<RAM, STORE>,
    line: impl Read + ReadReady + embedded_io::Write,
    flash: impl NorFlash,
) -> ! {
    stack::paint();
    let Some(counter) = Counter::take() else { fail("no counter, line", line!()) };
    match station::serve(name, own, memory, line, flash, Emulated { out: Out, counter }) {
        Ok(ServeError::Setup(_)) => fail("setup refused, line", line!()),
        Ok(_) => fail("the line failed, line", line!()),
        Err(_) => fail("frames are too small, line", line!()),
    }
}

/// Trains in `memory` as many steps as the command line says, by the fastest kernel of the chip, tells
/// about it, and ends QEMU.
pub fn run<'m, const N: usize, T: Start<'m, N>>(training: &Training<T>, memory: &'m mut [u8]) -> ! {
    run_with(Device::default(), training, memory)
}

/// As [`run`], with another kernel.
pub fn run_with<'m, const N: usize, T: Start<'m, N>>(
    kernel: impl Kernel,
    training: &Training<T>,
    memory: &'m mut [u8],
) -> ! {
    stack::paint();
    let Some(counter) = Counter::take() else { fail("no counter, line", line!()) };
    let mut board = Emulated { out: Out, counter };
    match crate::run(&mut board, kernel, training, memory, steps()) {
        Ok(()) => process::exit(0),
        Err(crate::Error::Parameters(_) | crate::Error::Setup(_)) => {
            fail("setup refused, line", line!())
        }
        Err(crate::Error::Step(_)) => fail("step refused, line", line!()),
        Err(crate::Error::Out(_)) => process::exit(1),
    }
}

/// Checks the fastest kernel of the chip, and ends QEMU.
pub fn check_kernel() -> ! {
    let Some(counter) = Counter::take() else { fail("no counter, line", line!()) };
    match kernel::check(&mut Emulated { out: Out, counter }, &Device::default()) {
        Ok(()) => process::exit(0),
        // It has told why.
        Err(_) => process::exit(1),
    }
}

/// Runs a program that needs no host, tells how much stack it took, and ends QEMU: with success where
/// the program came to what it must.
pub fn check<E>(program: impl FnOnce() -> Result<bool, E>) -> ! {
    stack::paint();
    match program() {
        Ok(true) => {}
        Ok(false) => fail("the program came to something else than on a desktop, line", line!()),
        Err(_) => fail("the program ended early, line", line!()),
    }
    let line =
        Line::new(&mut Out, "stack").and_then(|line| line.number(stack::high_water())?.end());
    process::exit(if line.is_ok() { 0 } else { 1 })
}

/// The first argument after the program's name. Not inlined: its buffer would lie under the whole
/// run.
#[inline(never)]
fn steps() -> u32 {
    let given = env::args::<COMMAND_LINE>().ok();
    match given.as_ref().and_then(|mut args| args.nth(1)).and_then(Result::ok) {
        None => DEFAULT_STEPS,
        Some(text) => {
            text.parse().unwrap_or_else(|_| fail("expected a number of steps, line", line!()))
        }
    }
}

/// Tells why the run ends here, and ends it.
pub(crate) fn fail(why: &str, number: u32) -> ! {
    let _ = Line::new(&mut Out, "failed").and_then(|line| line.text(why)?.number(number)?.end());
    process::exit(1)
}

/// The line of the panic, without its message: that would need `core::fmt`.
#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    let (file, line) = info.location().map_or(("", 0), |place| (place.file(), place.line()));
    let _ = Line::new(&mut Out, "panicked").and_then(|l| l.text(file)?.number(line)?.end());
    process::exit(101)
}

struct Emulated {
    out: Out,
    counter: Counter,
}

impl Board for Emulated {
    type Out = Out;
    fn out(&mut self) -> &mut Out {
        &mut self.out
    }
    fn start(&mut self) {
        self.counter.start();
    }
    fn elapsed(&mut self) -> u32 {
        self.counter.elapsed()
    }
    fn stack_high_water(&self) -> Option<u32> {
        Some(stack::high_water())
    }
}

/// The standard output of QEMU.
#[derive(Debug)]
pub struct Out;

impl embedded_io::ErrorType for Out {
    type Error = embedded_io::ErrorKind;
}

impl embedded_io::Write for Out {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Self::Error> {
        let other = |_| embedded_io::ErrorKind::Other;
        let written = io::stdout().and_then(|mut out| io::Write::write(&mut out, bytes));
        match written.map_err(other)? {
            0 if !bytes.is_empty() => Err(embedded_io::ErrorKind::WriteZero),
            count => Ok(count),
        }
    }

    fn flush(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }
}
