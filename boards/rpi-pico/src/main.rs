//! Raspberry Pi Pico: trains as a desktop says, over a serial line on its first two pins.
#![no_std]
#![no_main]

mod flash;

use defmt_rtt as _;
use fixgrad_boards::{
    device::{self, BAUD},
    mlp,
    serial::{Line, Nb},
    xip::Xip,
};
use rp2040_hal::{
    Clock, Sio, Timer, Watchdog, clocks, entry,
    fugit::RateExtU32,
    gpio::Pins,
    pac,
    uart::{DataBits, StopBits, UartConfig, UartPeripheral},
};

/// Sets the flash chip up for the code to be run from it.
#[used]
#[unsafe(link_section = ".boot2")]
static BOOT2_FIRMWARE: [u8; 256] = rp2040_boot2::BOOT_LOADER_W25Q080;

/// The crystal of the board.
const CRYSTAL_HZ: u32 = 12_000_000;

#[entry]
fn main() -> ! {
    static mut MEMORY: mlp::MlpMemory = mlp::MEMORY;
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
    let timer = Timer::new(chip.TIMER, &mut chip.RESETS, &clocks);
    let sio = Sio::new(chip.SIO);
    let pins = Pins::new(chip.IO_BANK0, chip.PADS_BANK0, sio.gpio_bank0, &mut chip.RESETS);
    let lamp = pins.gpio25.into_push_pull_output();

    let pair = (pins.gpio0.into_function(), pins.gpio1.into_function());
    let config = UartConfig::new(BAUD.Hz(), DataBits::Eight, None, StopBits::One);
    let port = UartPeripheral::new(chip.UART0, pair, &mut chip.RESETS)
        .enable(config, clocks.peripheral_clock.freq());
    let Ok(port) = port else { panic!("the clock allows this speed") };
    let (from, to) = port.split();

    // Microseconds, since this core counts no cycles.
    let now = || timer.get_counter_low();
    device::serve("rpi-pico", MEMORY, Line::new(Nb::new(from), Nb::new(to)), flash, now, lamp)
}
