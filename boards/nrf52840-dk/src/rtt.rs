//! nRF52840-DK: trains as a desktop says, through its debugger alone (`--link rtt`).
#![no_std]
#![no_main]

use cortex_m::peripheral::DWT;
use cortex_m_rt::entry;
use fixgrad_boards::{device, kept, mlp, rtt};
use fixgrad_nrf52840_dk::Inverted;
use nrf52840_hal::{
    gpio::{Level, p0},
    nvmc::Nvmc,
    pac,
};
use rtt_target::{ChannelMode, rtt_init, set_defmt_channel};

#[entry]
fn main() -> ! {
    static mut MEMORY: mlp::MlpMemory = mlp::MEMORY;
    // Channels are numbered without gaps: the unused one is there for its number.
    let channels = rtt_init! {
        up: {
            0: { size: 256, name: "defmt" }
            1: { size: 1024, mode: ChannelMode::BlockIfFull, name: "fixgrad" }
        }
        down: {
            0: { size: 2, name: "unused" }
            1: { size: 1024, mode: ChannelMode::BlockIfFull, name: "fixgrad" }
        }
    };
    set_defmt_channel(channels.up.0);
    let line = rtt::line(channels.up.1, channels.down.1);
    let (Some(mut core), Some(chip), Some(kept)) =
        (cortex_m::Peripherals::take(), pac::Peripherals::take(), kept::take())
    else {
        panic!("this is the start")
    };
    let pins = p0::Parts::new(chip.P0);
    let lamp = Inverted(pins.p0_13.into_push_pull_output(Level::High).degrade());

    core.DCB.enable_trace();
    core.DWT.enable_cycle_counter();
    let flash = Nvmc::new(chip.NVMC, kept);
    device::serve("nrf52840-dk", MEMORY, line, flash, DWT::cycle_count, lamp)
}
