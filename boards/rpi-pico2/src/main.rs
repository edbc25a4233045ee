//! Raspberry Pi Pico 2: trains as a desktop says, over a serial line on its first two pins. The
//! same program for its Arm cores and for its RISC-V cores.
#![no_std]
#![no_main]

mod flash;

use defmt_rtt as _;
use fixgrad_boards::{
    device::{self, BAUD},
    mlp,
    serial::Line,
    xip::Xip,
};
use rp235x_hal::{
    Clock, Sio, Timer, Watchdog,
    block::ImageDef,
    clocks, entry,
    fugit::RateExtU32,
    gpio::Pins,
    pac,
    uart::{DataBits, StopBits, UartConfig, UartPeripheral},
};
use static_cell::ConstStaticCell;

/// Tells the boot ROM what this is. The RISC-V runtime starts with the first byte of the image, so
/// there it stands behind the runtime's own start.
#[used]
#[cfg_attr(target_arch = "arm", unsafe(link_section = ".start_block"))]
#[cfg_attr(target_arch = "riscv32", unsafe(link_section = ".init.rust"))]
static IMAGE: ImageDef = ImageDef::secure_exe();

const NAME: &str = if cfg!(target_arch = "arm") { "rpi-pico2" } else { "rpi-pico2-riscv" };
static MEMORY: ConstStaticCell<mlp::MlpMemory> = ConstStaticCell::new(mlp::MEMORY);
/// The crystal of the board.
const CRYSTAL_HZ: u32 = 12_000_000;

#[entry]
fn main() -> ! {
    let (Some(mut chip), Some(flash)) = (pac::Peripherals::take(), Xip::take(flash::Rom)) else {
        panic!("this is the start")
    };
    let mut watchdog = Watchdog::new(chip.WATCHDOG);
    let clocks = clocks::init_clocks_and_plls(
        CRYSTAL_HZ,
        chip.XOSC,
        chip.CLOCKS,
        chip.PLL_SYS,
        chip.PLL_USB,
        &mut chip.RESETS,
        &mut watchdog,
    );
    let Ok(clocks) = clocks else { panic!("the crystal swings") };
    let timer = Timer::new_timer0(chip.TIMER0, &mut chip.RESETS, &clocks);
    let sio = Sio::new(chip.SIO);
    let pins = Pins::new(chip.IO_BANK0, chip.PADS_BANK0, sio.gpio_bank0, &mut chip.RESETS);
    let lamp = pins.gpio25.into_push_pull_output();

    let pair = (pins.gpio0.into_function(), pins.gpio1.into_function());
    let config = UartConfig::new(BAUD.Hz(), DataBits::Eight, None, StopBits::One);
    let port = UartPeripheral::new(chip.UART0, pair, &mut chip.RESETS)
        .enable(config, clocks.peripheral_clock.freq());
    let Ok(port) = port else { panic!("the clock allows this speed") };
    let (from, to) = port.split();

    // Microseconds, on both kinds of cores.
    let now = || timer.get_counter_low();
    device::serve(NAME, MEMORY.take(), Line::new(from, to), flash, now, lamp)
}
