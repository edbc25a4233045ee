//! Channels last: from planes in a file to pixels in memory.
//!
//! Samples and activations lie pixel after pixel, the channels of a pixel side by side, since the
//! inner loops of a convolution run over channels.

use super::Mantissas;

impl Mantissas {
    /// Turns samples of this shape (channels, height, width) from one plane a channel to pixels.
    pub(crate) fn channels_last(&mut self, shape: [usize; 3]) {
        match self {
            Self::U8(all) => turn(all, shape),
            Self::I8(all) => turn(all, shape),
            Self::I16(all) => turn(all, shape),
        }
    }
}

fn turn<T: Copy>(all: &mut [T], [channels, height, width]: [usize; 3]) {
    let plane = height * width;
    if channels == 1 || plane == 1 {
        return;
    }
    let mut planes = Vec::new();
    for sample in all.chunks_exact_mut(channels * plane) {
        planes.clear();
        planes.extend_from_slice(sample);
        for (channel, plane) in planes.chunks_exact(plane).enumerate() {
            for (pixel, &value) in sample.chunks_exact_mut(channels).zip(plane) {
                pixel[channel] = value;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planes_become_pixels() {
        let mut two = Mantissas::U8(vec![1, 2, 10, 20, 100, 200, 3, 4, 30, 40, 5, 6]);
        two.channels_last([3, 1, 2]);
        assert_eq!(two, Mantissas::U8(vec![1, 10, 100, 2, 20, 200, 3, 30, 5, 4, 40, 6]));
        let mut wide = Mantissas::I16(vec![1, 2, 3, 4, 5, 6, 7, 8]);
        wide.channels_last([2, 2, 2]);
        assert_eq!(wide, Mantissas::I16(vec![1, 5, 2, 6, 3, 7, 4, 8]));
    }

    #[test]
    fn one_channel_and_features_stay() {
        for shape in [[1, 2, 3], [6, 1, 1]] {
            let mut all = Mantissas::I8((0..12).collect());
            all.channels_last(shape);
            assert_eq!(all, Mantissas::I8((0..12).collect()));
        }
    }
}
