//! A stand-in for MNIST: the built-in digits, drawn three times as large, in MNIST's four files.
//!
//! MNIST is not in the repository. What a board and a desktop compute is compared here, and for
//! that any pictures of this size will do.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result};

const PACKED: &str = "host/data/digits.bin.gz";
/// A label and 8x8 pixels, whose brightest is 16.
const RECORD: usize = 65;
const SIDE: usize = 8;
const LARGE: usize = 28;
const SCALE: usize = 3;
const BORDER: usize = (LARGE - SCALE * SIDE) / 2;
/// Digits that are kept for the test.
const TESTED: usize = 297;
/// How often the others are in the file: a configuration for MNIST sets most of them aside.
const REPEATED: usize = 4;

/// Writes the four files into the folder `mnist` of `root`.
pub(super) fn write(root: &Path) -> Result<()> {
    let mut records = Vec::new();
    let packed = File::open(PACKED).with_context(|| format!("cannot open {PACKED}"))?;
    flate2::read::GzDecoder::new(packed).read_to_end(&mut records)?;
    let records: Vec<&[u8]> = records.chunks_exact(RECORD).collect();
    let (tested, learned) = records.split_at(TESTED.min(records.len()));
    let folder = root.join("mnist");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    for (name, records) in [("train", learned.repeat(REPEATED)), ("t10k", tested.to_vec())] {
        let pictures = records.iter().flat_map(|record| enlarged(&record[1..]));
        let side = LARGE as u32;
        let pictures = idx(&[records.len() as u32, side, side], pictures);
        let labels = idx(&[records.len() as u32], records.iter().map(|record| record[0]));
        let files = [("images-idx3-ubyte", pictures), ("labels-idx1-ubyte", labels)];
        for (kind, bytes) in files {
            let path = folder.join(format!("{name}-{kind}"));
            fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
        }
    }
    Ok(())
}

/// Bytes in the format of MNIST.
fn idx(dimensions: &[u32], bytes: impl Iterator<Item = u8>) -> Vec<u8> {
    let mut file = vec![0, 0, 8, dimensions.len() as u8];
    file.extend(dimensions.iter().flat_map(|dimension| dimension.to_be_bytes()));
    file.extend(bytes);
    file
}

/// A picture with a black border, as bright as a byte can be.
fn enlarged(pixels: &[u8]) -> impl Iterator<Item = u8> {
    (0..LARGE * LARGE).map(move |at| {
        let place = |at: usize| at.checked_sub(BORDER).map(|at| at / SCALE).filter(|&at| at < SIDE);
        let pixel = place(at / LARGE).zip(place(at % LARGE)).map(|(y, x)| pixels[y * SIDE + x]);
        pixel.unwrap_or_default().saturating_mul(16)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_grow_and_keep_a_border() {
        let mut pixels = [0; SIDE * SIDE];
        (pixels[0], pixels[63]) = (16, 1);
        let large: Vec<u8> = enlarged(&pixels).collect();
        assert_eq!(large.len(), LARGE * LARGE);
        assert_eq!(
            (large[2 * LARGE + 2], large[4 * LARGE + 4], large[4 * LARGE + 5]),
            (255, 255, 0)
        );
        assert_eq!((large[25 * LARGE + 25], large[26 * LARGE + 26], large[0]), (16, 0, 0));
        assert_eq!(large.iter().filter(|&&pixel| pixel > 0).count(), 18);
        assert_eq!(idx(&[2, 1], [7, 8].into_iter()), [0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 1, 7, 8]);
    }
}
