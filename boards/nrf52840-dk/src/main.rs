//! nRF52840-DK: trains as a desktop says, over the serial line of its debugger.
#![no_std]
#![no_main]

use cortex_m::peripheral::DWT;
use cortex_m_rt::entry;
use fixgrad_boards::{
    device::{self, BAUD},
    kept, mlp,
    serial::Line,
};
use fixgrad_nrf52840_dk::Inverted;
use nrf52840_hal::{
    clocks::Clocks,
    gpio::{Level, p0},
    nvmc::Nvmc,
    pac,
    uarte::{Baudrate, Parity, Pins, Uarte},
};

const _: () = assert!(BAUD == 115_200);

#[entry]
fn main() -> ! {
    static mut MEMORY: mlp::MlpMemory = mlp::MEMORY;
    static mut TO: [u8; 1] = [0];
    static mut FROM: [u8; 1] = [0];
    rtt_target::rtt_init_defmt!();
    let (Some(mut core), Some(chip), Some(kept)) =
        (cortex_m::Peripherals::take(), pac::Peripherals::take(), kept::take())
    else {
        panic!("this is the start")
    };
    // The crystal, because the chip's own oscillator is too coarse for a serial line.
    Clocks::new(chip.CLOCK).enable_ext_hfosc();
    let pins = p0::Parts::new(chip.P0);
    let lamp = Inverted(pins.p0_13.into_push_pull_output(Level::High).degrade());

    let pins = Pins {
        txd: pins.p0_06.into_push_pull_output(Level::High).degrade(),
        rxd: pins.p0_08.into_floating_input().degrade(),
        cts: None,
        rts: None,
    };
    let port = Uarte::new(chip.UARTE0, pins, Parity::EXCLUDED, Baudrate::BAUD115200);
    // Buffers of one byte: the driver sends a longer one only when it is full.
    let Ok((to, from)) = port.split(TO, FROM) else { panic!("the buffers are in RAM") };

    core.DCB.enable_trace();
    core.DWT.enable_cycle_counter();
    let flash = Nvmc::new(chip.NVMC, kept);
    device::serve("nrf52840-dk", MEMORY, Line::new(from, to), flash, DWT::cycle_count, lamp)
}
