//! Convolutions by packed panels: windows are gathered a panel at a time, next to the product that
//! uses them, and the weights are packed once.

use core::ops::Range;
use std::vec::Vec;

use super::gemm::{Block, DEPTH, Isa, Role, Side, Then, WIDE};
use crate::tensor::{Mantissas, MantissasMut, Matrix, Patches, Taps};

/// Bytes of gathered windows whose gradients are worked on together: a part of the last-level cache.
const GATHERED: usize = 1 << 20;

/// Packed panels of one operand, aligned to a register.
struct Panels {
    numbers: Vec<i32>,
    skip: usize,
}

impl Panels {
    fn new(len: usize) -> Self {
        // No register is wider than 64 bytes.
        let numbers = Vec::<i32>::with_capacity(len + 16);
        let skip = numbers.as_ptr().align_offset(64).min(16);
        Self { numbers, skip }
    }

    const fn start(&mut self) -> *mut i32 {
        self.numbers.as_mut_ptr().wrapping_add(self.skip)
    }
}

/// Packs all weights of a depth range, panel after panel. False where a tap does not fill groups.
///
/// # Safety
/// The processor must have the unit `I`, and `panels` room for all columns.
#[inline(always)]
unsafe fn pack_weights<I: Isa>(
    weight: &Taps<'_>,
    data: &[i8],
    depths: Range<usize>,
    panels: *mut i32,
) {
    let Taps { taps: [taps, stride], depth: [depth, depth_stride], cols, turned, .. } = *weight;
    let groups = depths.len().div_ceil(I::GROUP);
    for (panel, col) in (0..cols[0]).step_by(I::LANES).enumerate() {
        let lanes = I::LANES.min(cols[0] - col);
        let panel = panels.wrapping_add(panel * groups * I::LANES);
        let mut at = depths.start;
        while at < depths.end {
            // Up to the end of a tap, or of all where taps follow one another.
            let (tap, channel) = (at / depth, at % depth);
            let joined = !turned && stride == depth * depth_stride;
            let len = if joined { depths.end - at } else { depth - channel };
            let len = len.min(depths.end - at);
            let tap = if turned { taps - 1 - tap } else { tap };
            let skip = tap * stride + channel * depth_stride + col * cols[1];
            let side = Side::new(&data[skip..], lanes, len, [cols[1], depth_stride]);
            let place = panel.wrapping_add((at - depths.start) / I::GROUP * I::LANES);
            // SAFETY: the panel has room for the groups of its depth range, in which this part
            // begins at a whole group; the unit is the caller's word.
            unsafe { I::pack(side, Role::B, place) };
            at += len;
        }
    }
}

/// Windows of bytes times weights. False where it is not for panels.
///
/// # Safety
/// The processor must have the unit `I`.
#[inline(always)]
pub(super) unsafe fn convolve<I: Isa>(
    x: &Patches<'_>,
    weight: &Taps<'_>,
    first: usize,
    out: &mut [i32],
) -> bool {
    let (Mantissas::I8(_), Mantissas::I8(data)) = (x.data, weight.data) else { return false };
    let (width, depth) = (weight.cols[0], x.cols());
    let joined = !weight.turned && weight.taps[1] == weight.depth[0] * weight.depth[1];
    let whole = weight.taps[0] * weight.depth[0] == depth
        && data.len() >= weight.taps[0] * weight.depth[0] * width;
    if width == 0 || depth == 0 || !whole || !joined && !weight.depth[0].is_multiple_of(I::GROUP) {
        return false;
    }
    let deep = depth.div_ceil(depth.div_ceil(DEPTH)).next_multiple_of(I::GROUP);
    let most = deep / I::GROUP * I::LANES;
    let mut weights = Panels::new(width.div_ceil(I::LANES) * most);
    let mut rows_panel = Panels::new(most);
    let mut gathered = std::vec![0i8; I::LANES * deep];
    let (weights, packed) = (weights.start(), rows_panel.start());
    let rows = out.len() / width;
    for from in (0..depth).step_by(deep) {
        let depths = from..depth.min(from + deep);
        let groups = depths.len().div_ceil(I::GROUP);
        let panel = groups * I::LANES;
        let then = if from == 0 { Then::Store } else { Then::Wrap };
        // SAFETY: there is room for all columns of the widest range.
        unsafe { pack_weights::<I>(weight, data, depths.clone(), weights) };
        for row in (0..rows).step_by(I::LANES) {
            let lanes = I::LANES.min(rows - row);
            let windows = &mut gathered[..lanes * depths.len()];
            x.gather(first + row, depths.clone(), MantissasMut::I8(windows));
            let side = Side::new(windows, lanes, depths.len(), [depths.len(), 1]);
            let mut bias = [0i32; 16];
            // SAFETY: a panel fits the buffer, and `LANES` is at most 16.
            unsafe {
                I::pack(side, Role::A, packed);
                I::store(bias.as_mut_ptr(), I::bias(packed, groups));
            }
            let out = &mut out[row * width..];
            // SAFETY: the panels hold `groups` groups a lane.
            unsafe {
                multiply::<I>(lanes, packed, &bias, (weights, width), groups, panel, then, out)
            };
        }
    }
    true
}

/// One panel of rows times all panels of columns.
#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "an inner loop")]
unsafe fn multiply<I: Isa>(
    lanes: usize,
    rows: *const i32,
    bias: &[i32],
    (columns, width): (*const i32, usize),
    groups: usize,
    panel: usize,
    then: Then,
    out: &mut [i32],
) {
    for lane in (0..width).step_by(WIDE * I::LANES) {
        let cols = (width - lane).min(WIDE * I::LANES);
        let block = Block { groups, panel, cols, then, width };
        for r in (0..lanes).step_by(I::ROWS) {
            // SAFETY: passed on.
            unsafe {
                block.run::<I>(
                    (lanes - r).min(I::ROWS),
                    rows.add(r),
                    &bias[r..],
                    columns.add(panel * (lane / I::LANES)),
                    &mut out[r * width + lane..],
                );
            }
        }
    }
}

/// Gradients times windows of bytes. False where it is not for panels.
///
/// # Safety
/// The processor must have the unit `I`.
#[inline(always)]
pub(super) unsafe fn convolve_grad<I: Isa>(
    grad: &Matrix<'_>,
    x: &Patches<'_>,
    cols: Range<usize>,
    out: &mut [i32],
) -> bool {
    let (Mantissas::I8(data), Mantissas::I8(_)) = (grad.data, x.data) else { return false };
    let (width, units, rows) = (cols.len(), grad.cols, grad.rows);
    if width == 0 || units == 0 || rows == 0 || !grad.is_whole() || out.len() < units * width {
        return false;
    }
    let deep = (GATHERED / width).clamp(64, DEPTH).next_multiple_of(I::GROUP);
    let most = deep / I::GROUP * I::LANES;
    let mut columns = Panels::new(width.div_ceil(I::LANES) * most);
    let mut rows_panel = Panels::new(most);
    let mut gathered = std::vec![0i8; deep * width];
    let (columns, packed) = (columns.start(), rows_panel.start());
    for from in (0..rows).step_by(deep) {
        let len = deep.min(rows - from);
        let groups = len.div_ceil(I::GROUP);
        let panel = groups * I::LANES;
        let then = if from == 0 { Then::Store } else { Then::Wrap };
        let windows = &mut gathered[..len * width];
        x.gather(from, cols.clone(), MantissasMut::I8(windows));
        for (i, col) in (0..width).step_by(I::LANES).enumerate() {
            let side = Side::new(&windows[col..], I::LANES.min(width - col), len, [1, width]);
            // SAFETY: there is room for all columns of the longest range.
            unsafe { I::pack(side, Role::B, columns.add(i * panel)) };
        }
        let grads = Side::rows_of(&grad.t(), data).depths(from, len);
        for unit in (0..units).step_by(I::LANES) {
            let side = grads.lanes(unit, I::LANES);
            let mut bias = [0i32; 16];
            // SAFETY: a panel fits the buffer, and `LANES` is at most 16.
            unsafe {
                I::pack(side, Role::A, packed);
                I::store(bias.as_mut_ptr(), I::bias(packed, groups));
            }
            let out = &mut out[unit * width..];
            let columns = (columns.cast_const(), width);
            // SAFETY: the panels hold `groups` groups a lane.
            unsafe { multiply::<I>(side.lanes, packed, &bias, columns, groups, panel, then, out) };
        }
    }
    true
}
