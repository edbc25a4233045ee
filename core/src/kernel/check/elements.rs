//! What a kernel does with each element: quantisers and updates.

use super::{Fault, case::Case};
use crate::kernel::{Kernel, Scalar};

/// Slices that are compared.
const CASES: u32 = 2_000;

/// Compares how `kernel` quantises sums to bytes, and how it moves weights of a byte without momentum,
/// with [`Scalar`]: by all rules, from any element on, with values of every size. Gives the number
/// of comparisons.
// Not inlined: its numbers would lie on the stack under whatever comes later.
#[inline(never)]
pub fn elements(kernel: &impl Kernel) -> Result<u32, Fault> {
    for number in 0..CASES {
        let case = Case::of_any(number);
        let fault = |part| move |wrong| Fault { part, wrong, case: number };
        let right = case.quantized(&Scalar);
        case.compare(&case.quantized(kernel), &right).map_err(fault("quantize"))?;
        let right = case.descended(&Scalar);
        case.compare(&case.descended(kernel), &right).map_err(fault("descend"))?;
    }
    Ok(2 * CASES)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        kernel::{Blocked, check::Wrong},
        quant::{Counts, Quantizer},
        tensor::{MantissasMut, Matrix, Source},
    };

    #[test]
    fn portable_kernels_are_right() {
        assert_eq!(elements(&Scalar), Ok(4_000));
        assert_eq!(elements(&Blocked), Ok(4_000));
    }

    /// Quantises without a look at where the slice begins.
    struct Placeless;

    impl Kernel for Placeless {
        fn gemm(&self, a: Matrix<'_>, b: Matrix<'_>, drop: u32, add: bool, out: &mut [i32]) {
            Scalar.gemm(a, b, drop, add, out);
        }
        fn quantize(
            &self,
            quantizer: &Quantizer,
            source: Source<'_>,
            first: u32,
            codes: MantissasMut<'_>,
        ) -> Counts {
            Scalar.quantize(quantizer, source, first & !1, codes)
        }
    }

    #[test]
    fn a_kernel_that_loses_an_odd_element_is_found() {
        let fault = elements(&Placeless).unwrap_err();
        assert_eq!((fault.part, fault.wrong), ("quantize", Wrong::Numbers));
    }
}
