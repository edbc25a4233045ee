//! Unpacks the built-in digits, so that they can lie in flash as the trainer reads them.

use std::error::Error;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use fixgrad::rng::{Key, Permutation};

const PACKED: &str = "../../host/data/digits.bin.gz";
/// A label and 8x8 pixels.
const RECORD: usize = 65;
/// So many pictures are there in 28x28 pixels too.
const LARGE: usize = 256;

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
    let large: Vec<u8> = pixels.iter().take(LARGE).flat_map(|pixels| enlarged(pixels)).collect();
    fs::write(Path::new(&folder).join("large.bin"), large)?;
    Ok(())
}

/// A picture three times as large, with a border of two pixels.
fn enlarged(pixels: &[u8]) -> impl Iterator<Item = u8> {
    (0..28 * 28).map(move |at: usize| {
        let place = |at: usize| at.checked_sub(2).map(|at| at / 3).filter(|&at| at < 8);
        place(at / 28).zip(place(at % 28)).map_or(0, |(y, x)| pixels[y * 8 + x])
    })
}
