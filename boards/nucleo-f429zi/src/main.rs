//! STM32 Nucleo-F429ZI: trains as a desktop says, over the serial line of its ST-LINK.
#![no_std]
#![no_main]

use cortex_m::peripheral::DWT;
use cortex_m_rt::entry;
use defmt_rtt as _;
use fixgrad_boards::{
    device::{self, BAUD},
    kept, mlp,
    pages::Pages,
    serial::{Line, Nb},
};
use stm32f4xx_hal::{flash::FlashExt, pac, prelude::*, rcc};

#[entry]
fn main() -> ! {
    static mut MEMORY: mlp::MlpMemory = mlp::MEMORY;
    let (Some(mut core), Some(chip)) = (cortex_m::Peripherals::take(), pac::Peripherals::take())
    else {
        panic!("this is the start")
    };
    // The ST-LINK gives 8 MHz to the oscillator's pin.
    let clocks = rcc::Config::hse(8.MHz()).bypass_hse_oscillator().sysclk(168.MHz());
    let mut rcc = chip.RCC.freeze(clocks);
    let lamp = chip.GPIOB.split(&mut rcc).pb0.into_push_pull_output();
    let pins = chip.GPIOD.split(&mut rcc);

    let Ok(port) = chip.USART3.serial((pins.pd8, pins.pd9), BAUD.bps(), &mut rcc) else {
        panic!("the clock allows this speed")
    };
    let (to, from) = port.split();
    let line = Line::new(Nb::new(from), Nb::new(to));

    let mut flash = chip.FLASH;
    // The driver erases behind the back of the data cache, which would go on to show what was there.
    flash.acr().modify(|_, w| w.dcen().clear_bit());
    let kept = kept::addresses();
    let (start, len) = (kept.start - flash.address(), kept.len());
    let pages = Pages::new(flash.unlocked(), start as u32, len as u32);

    core.DCB.enable_trace();
    core.DWT.enable_cycle_counter();
    device::serve("nucleo-f429zi", MEMORY, line, pages, DWT::cycle_count, lamp)
}
