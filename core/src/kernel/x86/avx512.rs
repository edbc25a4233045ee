//! AVX-512 with VNNI: four products of bytes a lane and instruction.
//!
//! `vpdpbusd` multiplies unsigned by signed bytes. Columns are stored with 128 added, and the
//! sums of a row start at -128 times the sum of the row; modulo 2^32 that is exact.

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

entry_points!(Vnni, "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni");

pub(super) struct Vnni;

impl Isa for Vnni {
    type Vector = __m512i;
    const LANES: usize = 16;
    const GROUP: usize = 4;
    const ROWS: usize = 8;

    #[inline(always)]
    unsafe fn pack(side: Side<'_>, role: Role, panel: *mut i32) {
        // SAFETY: the caller's word, passed on.
        unsafe {
            let flip = _mm512_set1_epi8(if role == Role::B { i8::MIN } else { 0 });
            if side.depth_stride == 1 {
                pack_deep(side, flip, panel);
            } else if side.lane_stride == 1 {
                pack_across(side, flip, panel);
            } else {
                for first in (0..side.depth).step_by(Self::GROUP) {
                    let bytes: [i32; 16] = core::array::from_fn(|lane| {
                        i32::from_le_bytes(core::array::from_fn(|i| {
                            side.get(lane, first + i).cast_unsigned()
                        }))
                    });
                    let groups = _mm512_loadu_si512(bytes.as_ptr().cast());
                    Self::store(panel.add(4 * first), _mm512_xor_si512(groups, flip));
                }
            }
        }
    }

    #[inline(always)]
    unsafe fn bias(panel: *const i32, groups: usize) -> __m512i {
        // SAFETY: the panel holds 16 lanes of `groups` groups.
        unsafe {
            let ones = _mm512_set1_epi8(1);
            let mut sums = _mm512_setzero_si512();
            for i in 0..groups {
                sums = _mm512_dpbusd_epi32(sums, ones, Self::load(panel.add(16 * i)));
            }
            _mm512_sub_epi32(_mm512_setzero_si512(), _mm512_slli_epi32::<7>(sums))
        }
    }

    #[inline(always)]
    unsafe fn load(from: *const i32) -> __m512i {
        // SAFETY: the caller's word.
        unsafe { _mm512_loadu_si512(from.cast()) }
    }

    #[inline(always)]
    unsafe fn store(to: *mut i32, vector: __m512i) {
        // SAFETY: the caller's word.
        unsafe { _mm512_storeu_si512(to.cast(), vector) }
    }

    #[inline(always)]
    unsafe fn splat(value: i32) -> __m512i {
        // SAFETY: the feature is the caller's word.
        unsafe { _mm512_set1_epi32(value) }
    }

    #[inline(always)]
    unsafe fn dot(sum: __m512i, b: __m512i, a: __m512i) -> __m512i {
        // SAFETY: the feature is the caller's word.
        unsafe { _mm512_dpbusd_epi32(sum, b, a) }
    }
}

/// Bytes beside each other. Private, so that only the entry points above, which have the features, use
/// it.
struct Bytes;

impl Lanes for Bytes {
    type Number = i8;
    type Sum = i32;
    type Vector = __m512i;
    const LANES: usize = 16;

    /// The upper half must not count when pairs of 16 bits are multiplied.
    #[inline(always)]
    fn weight(code: i32) -> i32 {
        code & 0xffff
    }
    #[inline(always)]
    fn load(from: &[i32]) -> __m512i {
        // SAFETY: 16 numbers are there; entry points have the unit.
        unsafe { _mm512_loadu_si512(from[..16].as_ptr().cast()) }
    }
    #[inline(always)]
    fn store(sums: __m512i, to: &mut [i32]) {
        // SAFETY: as above.
        unsafe { _mm512_storeu_si512(to[..16].as_mut_ptr().cast(), sums) }
    }
    #[inline(always)]
    fn widen(from: &[i8]) -> __m512i {
        // SAFETY: as above.
        unsafe { _mm512_cvtepi8_epi32(_mm_loadu_si128(from[..16].as_ptr().cast())) }
    }
    #[inline(always)]
    fn as_weights(numbers: __m512i) -> __m512i {
        // SAFETY: entry points have the unit.
        unsafe { _mm512_and_si512(numbers, _mm512_set1_epi32(0xffff)) }
    }
    #[inline(always)]
    fn add(sums: __m512i, numbers: __m512i, weights: __m512i) -> __m512i {
        // SAFETY: as above.
        unsafe { _mm512_dpwssd_epi32(sums, numbers, weights) }
    }
}

/// Each lane is contiguous: blocks of 16 lanes by 16 groups are transposed.
#[inline(always)]
unsafe fn pack_deep(side: Side<'_>, flip: __m512i, panel: *mut i32) {
    // SAFETY: masks keep every load inside the lane; stores stay below `depth` rounded up to a
    // group.
    unsafe {
        for first in (0..side.depth).step_by(64) {
            let rest = side.depth - first;
            let mask = u64::MAX >> (64 - rest.min(64));
            let mut block = [_mm512_setzero_si512(); 16];
            for (lane, row) in block.iter_mut().enumerate() {
                if lane < side.lanes {
                    *row = _mm512_maskz_loadu_epi8(mask, side.at(lane, first));
                }
            }
            let block = transpose(block);
            let panel = panel.add(4 * first);
            for (i, groups) in block.into_iter().enumerate() {
                if 4 * i < rest {
                    Vnni::store(panel.add(16 * i), _mm512_xor_si512(groups, flip));
                }
            }
        }
    }
}

/// The lanes lie side by side: four rows of 16 bytes become 16 groups.
#[inline(always)]
unsafe fn pack_across(side: Side<'_>, flip: __m512i, panel: *mut i32) {
    // SAFETY: masks keep every load inside the lanes; stores stay below `depth` rounded up to a
    // group.
    unsafe {
        let mask = u16::MAX >> (16 - side.lanes);
        // A 128-bit part gets the same four lanes of all four rows, then bytes are transposed.
        let gather = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
        let weave = _mm512_broadcast_i32x4(_mm_setr_epi8(
            0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15,
        ));
        for first in (0..side.depth).step_by(4) {
            let row = |i: usize| {
                if first + i < side.depth {
                    _mm_maskz_loadu_epi8(mask, side.at(0, first + i))
                } else {
                    _mm_setzero_si128()
                }
            };
            let rows = _mm512_castsi128_si512(row(0));
            let rows = _mm512_inserti32x4::<1>(rows, row(1));
            let rows = _mm512_inserti32x4::<2>(rows, row(2));
            let rows = _mm512_inserti32x4::<3>(rows, row(3));
            let groups = _mm512_shuffle_epi8(_mm512_permutexvar_epi32(gather, rows), weave);
            Vnni::store(panel.add(4 * first), _mm512_xor_si512(groups, flip));
        }
    }
}

/// Transposes 16 by 16 numbers of 32 bits.
#[inline(always)]
unsafe fn transpose(rows: [__m512i; 16]) -> [__m512i; 16] {
    // SAFETY: the feature is the caller's word.
    unsafe {
        let zero = _mm512_setzero_si512();
        let (mut pairs, mut quads, mut halves, mut out) = ([zero; 16], rows, rows, rows);
        for i in 0..8 {
            pairs[2 * i] = _mm512_unpacklo_epi32(rows[2 * i], rows[2 * i + 1]);
            pairs[2 * i + 1] = _mm512_unpackhi_epi32(rows[2 * i], rows[2 * i + 1]);
        }
        // `quads[4 i + j]` holds columns j, 4 + j, 8 + j, 12 + j of rows 4 i .. 4 i + 4.
        for i in 0..4 {
            for j in 0..2 {
                let (low, high) = (pairs[4 * i + j], pairs[4 * i + j + 2]);
                quads[4 * i + 2 * j] = _mm512_unpacklo_epi64(low, high);
                quads[4 * i + 2 * j + 1] = _mm512_unpackhi_epi64(low, high);
            }
        }
        for j in 0..4 {
            let (a, b, c, d) = (quads[j], quads[4 + j], quads[8 + j], quads[12 + j]);
            halves[j] = _mm512_shuffle_i32x4::<0b10_00_10_00>(a, b);
            halves[4 + j] = _mm512_shuffle_i32x4::<0b11_01_11_01>(a, b);
            halves[8 + j] = _mm512_shuffle_i32x4::<0b10_00_10_00>(c, d);
            halves[12 + j] = _mm512_shuffle_i32x4::<0b11_01_11_01>(c, d);
        }
        for j in 0..4 {
            out[j] = _mm512_shuffle_i32x4::<0b10_00_10_00>(halves[j], halves[8 + j]);
            out[4 + j] = _mm512_shuffle_i32x4::<0b10_00_10_00>(halves[4 + j], halves[12 + j]);
            out[8 + j] = _mm512_shuffle_i32x4::<0b11_01_11_01>(halves[j], halves[8 + j]);
            out[12 + j] = _mm512_shuffle_i32x4::<0b11_01_11_01>(halves[4 + j], halves[12 + j]);
        }
        out
    }
}
