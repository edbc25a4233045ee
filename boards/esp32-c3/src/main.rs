//! ESP32-C3-DevKit: trains as a desktop says, over a serial line. The log goes over the chip's own
//! USB.
#![no_std]
#![no_main]

use embedded_storage::nor_flash::ReadNorFlash;
use esp_bootloader_esp_idf::partitions::{PARTITION_TABLE_MAX_LEN, read_partition_table};
use esp_hal::{
    Config,
    clock::CpuClock,
    gpio::{Level, Output, OutputConfig},
    main,
    time::Instant,
    uart::{self, Uart},
};
use esp_println as _;
use esp_storage::FlashStorage;
use fixgrad_boards::{
    device::{self, BAUD},
    mlp,
    pages::Pages,
    serial::Line,
};
use static_cell::ConstStaticCell;

esp_bootloader_esp_idf::esp_app_desc!();

static MEMORY: ConstStaticCell<mlp::MlpMemory> = ConstStaticCell::new(mlp::MEMORY);

/// The name of the part of the flash that is ours, in `partitions.csv`.
const PARTITION: &str = "fixgrad";

#[main]
fn main() -> ! {
    let chip = esp_hal::init(Config::default().with_cpu_clock(CpuClock::max()));
    let lamp = Output::new(chip.GPIO7, Level::Low, OutputConfig::default());
    let port = Uart::new(chip.UART0, uart::Config::default().with_baudrate(BAUD));
    let Ok(port) = port else { panic!("the clock allows this speed") };
    let (from, to) = port.with_tx(chip.GPIO21).with_rx(chip.GPIO20).split();

    let mut flash = FlashStorage::new(chip.FLASH);
    let Some((start, len)) = partition(&mut flash) else {
        panic!("the partition table has no place for checkpoints: flash with partitions.csv")
    };
    let pages = Pages::new(flash, start, len);
    let now = || Instant::now().duration_since_epoch().as_micros() as u32;
    device::serve("esp32-c3", MEMORY.take(), Line::new(from, to), pages, now, lamp)
}

/// First byte and length of our part of the flash. Never inlined: its buffer would lie on the
/// stack for ever.
#[inline(never)]
fn partition(flash: &mut FlashStorage<'_>) -> Option<(u32, u32)> {
    let mut buffer = [0; PARTITION_TABLE_MAX_LEN];
    let table = read_partition_table(flash, &mut buffer).ok()?;
    let entry = table.iter().find(|entry| entry.label_as_str() == PARTITION)?;
    let end = entry.offset().checked_add(entry.len())?;
    (end as usize <= flash.capacity()).then_some((entry.offset(), entry.len()))
}
