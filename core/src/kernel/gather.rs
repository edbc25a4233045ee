//! Windows of bytes, gathered by few instructions: all pieces of pictures that lie under a row of
//! windows are copied by one loop, in words where they are aligned.

#![expect(unsafe_code, reason = "copies of pieces that were checked together, not one by one")]

use core::ops::Range;

use crate::tensor::{Mantissas, MantissasMut, Patches, Windows};

/// [`Patches::gather`].
#[inline(never)]
pub(super) fn gather(x: &Patches<'_>, first: usize, cols: Range<usize>, out: MantissasMut<'_>) {
    let plain = x.windows.spread == [1; 2] && x.group[1] == x.channels;
    match (x.data, out, lines(x, &cols)) {
        (Mantissas::I8(data), MantissasMut::I8(out), Some(lines)) if plain => {
            bytes(x, data, first, lines, out);
        }
        (_, out, _) => x.gather(first, cols, out),
    }
}

/// The rows of taps that make up these columns, where they are whole rows.
fn lines(x: &Patches<'_>, cols: &Range<usize>) -> Option<Range<usize>> {
    let [down, across] = x.windows.size.map(usize::from);
    let run = across * x.group[1];
    let (mut first, mut begin) = (0, 0);
    while begin < cols.start && first < down {
        (first, begin) = (first + 1, begin + run);
    }
    let (mut last, mut end) = (first, begin);
    while end < cols.end && last < down {
        (last, end) = (last + 1, end + run);
    }
    (begin == cols.start && end == cols.end).then_some(first..last)
}

fn bytes(x: &Patches<'_>, data: &[i8], first: usize, lines: Range<usize>, out: &mut [i8]) {
    let Windows { from, count, size, stride, pad, .. } = x.windows;
    let ([height, width], [_, across]) = (from.map(usize::from), size.map(usize::from));
    let ([below, right], [top, left]) = (stride.map(usize::from), pad.map(usize::from));
    let channels = x.channels;
    let run = across * channels;
    let depth = (lines.len() * run).max(1);
    // Zeros lie where nothing is copied to.
    out.fill(0);
    let mut rest = out;
    let [mut picture, mut y, mut begin] = x.place(first);
    while rest.len() >= depth {
        // Windows side by side.
        let wanted = usize::from(count[1]).saturating_sub(begin).max(1);
        let len = rest.len().min(wanted.saturating_mul(depth));
        let Some((windows, behind)) = rest.split_at_mut_checked(len) else { return };
        let end = begin + len / depth;
        for (line, tap) in lines.clone().enumerate() {
            let row = (y * below + tap).wrapping_sub(top);
            let start = x.offset(picture, 0, 0).wrapping_add(row.wrapping_mul(width * channels));
            let pixels = data.get(start..).and_then(|data| data.get(..width * channels));
            let (Some(pixels), true) = (pixels, row < height) else { continue };
            let mut window = begin;
            while window < end {
                // Taps before the first pixel and behind the last one.
                let place = window * right;
                let before = left.saturating_sub(place);
                let over = (place + across).saturating_sub(left + width);
                let mut pieces = 1;
                if before == 0 && over == 0 {
                    // So it is for those that follow, up to the end of the row.
                    while window + pieces < end && place + pieces * right + across <= left + width {
                        pieces += 1;
                    }
                }
                let to = (window - begin) * depth + line * run + before * channels;
                let pieces = Pieces {
                    count: pieces,
                    len: across.saturating_sub(before + over) * channels,
                    from: right * channels,
                    to: depth,
                };
                let pixels = pixels.get((place + before - left) * channels..).unwrap_or_default();
                pieces.copy(pixels, windows.get_mut(to..).unwrap_or_default());
                window += pieces.count;
            }
        }
        rest = behind;
        (begin, y) = (0, y + 1);
        if y == usize::from(count[0]) {
            (y, picture) = (0, picture + 1);
        }
    }
}

/// Pieces of one length, at some distance in both places.
struct Pieces {
    count: usize,
    len: usize,
    from: usize,
    to: usize,
}

impl Pieces {
    #[inline(always)]
    fn copy(&self, source: &[i8], target: &mut [i8]) {
        let Self { count, len, from, to } = *self;
        let last = count.saturating_sub(1);
        if last * from + len > source.len() || last * to + len > target.len() {
            return;
        }
        let (mut source, mut target) = (source.as_ptr(), target.as_mut_ptr());
        let odd = source.addr() | target.addr() | len | from | to;
        for _ in 0..count {
            // SAFETY: the last piece ends within both slices; words are aligned.
            unsafe {
                if odd % 4 == 0 {
                    copy(source.cast::<u32>(), target.cast::<u32>(), len / 4);
                } else {
                    copy(source, target, len);
                }
            }
            (source, target) = (source.wrapping_add(from), target.wrapping_add(to));
        }
    }
}

/// Copies `len` numbers: pieces are too short for a call.
///
/// # Safety
///
/// There must be as many at both places, apart from each other.
#[inline(always)]
unsafe fn copy<T: Copy>(mut source: *const T, mut target: *mut T, len: usize) {
    let end = source.wrapping_add(len);
    while source != end {
        // SAFETY: the caller vouches for it. Volatile, or the compiler makes a call of it.
        unsafe { target.write_volatile(source.read()) };
        (source, target) = (source.wrapping_add(1), target.wrapping_add(1));
    }
}
