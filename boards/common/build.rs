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
/// So many are there in 49x10.
const TALL: usize = 80;
/// So many are there as another camera sees them.
const DIM: usize = 510;

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
    for (file, count, form) in [
        ("large.bin", LARGE, Form { sides: [28, 28], times: [3, 3], border: [2, 2] }),
        ("tall.bin", TALL, Form { sides: [49, 10], times: [6, 1], border: [0, 1] }),
    ] {
        let pixels = pixels.iter().take(count).flat_map(|pixels| form.of(pixels));
        fs::write(Path::new(&folder).join(file), pixels.collect::<Vec<u8>>())?;
    }
    let dim: Vec<u8> =
        pixels.iter().take(DIM).copied().flatten().map(|&pixel| dim(pixel)).collect();
    fs::write(Path::new(&folder).join("dim.bin"), dim)?;
    Ok(())
}

/// A pixel at half the light, with a glow of a quarter of white.
const fn dim(pixel: u8) -> u8 {
    pixel / 2 + 4
}

/// How a picture is enlarged: rows and columns that it then has, so many for each of its own, and so many
/// empty ones before them.
#[derive(Clone, Copy)]
struct Form {
    sides: [usize; 2],
    times: [usize; 2],
    border: [usize; 2],
}

impl Form {
    fn of(self, pixels: &[u8]) -> impl Iterator<Item = u8> {
        let Self { sides: [rows, columns], times, border } = self;
        (0..rows * columns).map(move |at| {
            let place = |i: usize, at: usize| {
                at.checked_sub(border[i]).map(|at| at / times[i]).filter(|&at| at < 8)
            };
            let (y, x) = (place(0, at / columns), place(1, at % columns));
            y.zip(x).map_or(0, |(y, x)| pixels[y * 8 + x])
        })
    }
}
