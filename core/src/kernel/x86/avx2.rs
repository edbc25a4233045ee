//! AVX2: two products of 16-bit numbers a lane and instruction.
//!
//! Bytes are extended to 16 bits while they are packed, since `vpmaddubsw`, the instruction for
//! bytes, saturates its sums.

use core::arch::x86_64::*;

use super::{
    entry_points,
    gemm::{Isa, Role, Side},
    lanes::Lanes,
};
use crate::{
    kernel::{Depthwise, DepthwiseGrad},
    optim::{Descend, Descent},
    quant::{Counts, Quantizer},
    tensor::{MantissasMut, Matrix, Patches, Source, Taps, for_source, for_width},
};

entry_points!(Avx2, "avx2");

pub(super) struct Avx2;

impl Isa for Avx2 {
    type Vector = __m256i;
    const LANES: usize = 8;
    const GROUP: usize = 2;
    const ROWS: usize = 4;

    #[inline(always)]
    unsafe fn pack(side: Side<'_>, _: Role, panel: *mut i32) {
        let full = side.lanes == Self::LANES;
        let mut packed = 0;
        // SAFETY: eight lanes by `packed` of the depth lie inside `side`; stores stay below
        // `depth` rounded up to a group.
        unsafe {
            if full && side.depth_stride == 1 {
                packed = side.depth & !15;
                for first in (0..packed).step_by(16) {
                    let block = transpose(core::array::from_fn(|lane| {
                        _mm256_cvtepi8_epi16(_mm_loadu_si128(side.at(lane, first).cast()))
                    }));
                    for (i, groups) in block.into_iter().enumerate() {
                        Self::store(panel.add(4 * first + 8 * i), groups);
                    }
                }
            } else if full && side.lane_stride == 1 {
                packed = side.depth & !1;
                for first in (0..packed).step_by(2) {
                    let row = |i| _mm_loadl_epi64(side.at(0, first + i).cast());
                    let groups = _mm256_cvtepi8_epi16(_mm_unpacklo_epi8(row(0), row(1)));
                    Self::store(panel.add(4 * first), groups);
                }
            }
            for first in (packed..side.depth).step_by(2) {
                for lane in 0..Self::LANES {
                    let low = i32::from(side.get(lane, first)) & 0xffff;
                    let high = i32::from(side.get(lane, first + 1)) << 16;
                    panel.add(4 * first + lane).write(low | high);
                }
            }
        }
    }

    #[inline(always)]
    unsafe fn bias(_: *const i32, _: usize) -> __m256i {
        // SAFETY: the feature is the caller's word.
        unsafe { _mm256_setzero_si256() }
    }

    #[inline(always)]
    unsafe fn load(from: *const i32) -> __m256i {
        // SAFETY: the caller's word.
        unsafe { _mm256_loadu_si256(from.cast()) }
    }

    #[inline(always)]
    unsafe fn store(to: *mut i32, vector: __m256i) {
        // SAFETY: the caller's word.
        unsafe { _mm256_storeu_si256(to.cast(), vector) }
    }

    #[inline(always)]
    unsafe fn splat(value: i32) -> __m256i {
        // SAFETY: the feature is the caller's word.
        unsafe { _mm256_set1_epi32(value) }
    }

    #[inline(always)]
    unsafe fn dot(sum: __m256i, b: __m256i, a: __m256i) -> __m256i {
        // SAFETY: the feature is the caller's word.
        unsafe { _mm256_add_epi32(sum, _mm256_madd_epi16(b, a)) }
    }
}

/// Bytes beside each other. Private, so that only the entry points above, which have the features, use
/// it.
struct Bytes;

impl Lanes for Bytes {
    type Number = i8;
    type Sum = i32;
    type Vector = __m256i;
    const LANES: usize = 8;

    /// The upper half must not count when pairs of 16 bits are multiplied.
    #[inline(always)]
    fn weight(code: i32) -> i32 {
        code & 0xffff
    }
    #[inline(always)]
    fn load(from: &[i32]) -> __m256i {
        // SAFETY: eight numbers are there; entry points have the unit.
        unsafe { _mm256_loadu_si256(from[..8].as_ptr().cast()) }
    }
    #[inline(always)]
    fn store(sums: __m256i, to: &mut [i32]) {
        // SAFETY: as above.
        unsafe { _mm256_storeu_si256(to[..8].as_mut_ptr().cast(), sums) }
    }
    #[inline(always)]
    fn widen(from: &[i8]) -> __m256i {
        // SAFETY: as above.
        unsafe { _mm256_cvtepi8_epi32(_mm_loadl_epi64(from[..8].as_ptr().cast())) }
    }
    #[inline(always)]
    fn as_weights(numbers: __m256i) -> __m256i {
        // SAFETY: entry points have the unit.
        unsafe { _mm256_and_si256(numbers, _mm256_set1_epi32(0xffff)) }
    }
    #[inline(always)]
    fn add(sums: __m256i, numbers: __m256i, weights: __m256i) -> __m256i {
        // SAFETY: as above.
        unsafe { _mm256_add_epi32(sums, _mm256_madd_epi16(numbers, weights)) }
    }
}

/// Transposes 8 by 8 numbers of 32 bits.
#[inline(always)]
unsafe fn transpose(rows: [__m256i; 8]) -> [__m256i; 8] {
    // SAFETY: the feature is the caller's word.
    unsafe {
        let (mut pairs, mut quads, mut out) = (rows, rows, rows);
        for i in 0..4 {
            pairs[2 * i] = _mm256_unpacklo_epi32(rows[2 * i], rows[2 * i + 1]);
            pairs[2 * i + 1] = _mm256_unpackhi_epi32(rows[2 * i], rows[2 * i + 1]);
        }
        // `quads[4 i + j]` holds columns j and 4 + j of rows 4 i .. 4 i + 4.
        for i in 0..2 {
            for j in 0..2 {
                let (low, high) = (pairs[4 * i + j], pairs[4 * i + j + 2]);
                quads[4 * i + 2 * j] = _mm256_unpacklo_epi64(low, high);
                quads[4 * i + 2 * j + 1] = _mm256_unpackhi_epi64(low, high);
            }
        }
        for j in 0..4 {
            out[j] = _mm256_permute2x128_si256::<0x20>(quads[j], quads[4 + j]);
            out[4 + j] = _mm256_permute2x128_si256::<0x31>(quads[j], quads[4 + j]);
        }
        out
    }
}
