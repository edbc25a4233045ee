//! Unpacks the built-in digits, so that they can lie in flash as the trainer reads them.

use std::error::Error;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use fixgrad::rng::{Key, Permutation};

const PACKED: &str = "../../host/data/digits.bin.gz";
/// A label and 8x8 pixels.
const RECORD: usize = 65;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={PACKED}");
    println!("cargo::rerun-if-changed=build.rs");
    let mut records = Vec::new();
    flate2::read::GzDecoder::new(File::open(PACKED)?).read_to_end(&mut records)?;

    // Neighbours in the file are by the same hand, so the pictures are mixed before they are split.
    let records: Vec<&[u8]> = records.chunks_exact(RECORD).collect();
    let order = Permutation::new(Key::new(0), records.len().try_into()?);
    let mixed = (0..u32::try_from(records.len())?).map(|i| records[order.at(i) as usize]);
    let (labels, pixels): (Vec<u8>, Vec<&[u8]>) =
        mixed.map(|record| (record[0], &record[1..])).unzip();

    let folder = std::env::var("OUT_DIR")?;
    fs::write(Path::new(&folder).join("pixels.bin"), pixels.concat())?;
    fs::write(Path::new(&folder).join("labels.rs"), format!("{labels:?}"))?;
    Ok(())
}
