//! What a kernel does with each element: quantisers and updates.

use super::{Fault, Wrong, case::Case};
use crate::kernel::{Kernel, Scalar};

/// Slices that are compared.
const CASES: u32 = 2_000;

/// Compares how `kernel` quantises sums to bytes, and how it moves weights of a byte without and with
/// momentum, with [`Scalar`]: by all rules, from any element on, with values of every size. Gives the number
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
        momentum(kernel, case.with_momentum(number)).map_err(fault("momentum"))?;
    }
    Ok(3 * CASES)
}

/// Not inlined, so that its numbers do not lie beside those above.
#[inline(never)]
fn momentum(kernel: &impl Kernel, case: Case) -> Result<(), Wrong> {
    let (ours, right) = (case.driven(kernel), case.driven(&Scalar));
    case.compare(&ours.0, &right.0).and(case.compare(&ours.1, &right.1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        kernel::Blocked,
        optim::{Descend, Descent, Momentum, Rule},
        quant::{Counts, Quantizer},
        tensor::{MantissasMut, Matrix, Source},
    };

    #[test]
    fn portable_kernels_are_right() {
        assert_eq!(elements(&Scalar), Ok(6_000));
        assert_eq!(elements(&Blocked), Ok(6_000));
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
    /// Takes every rule for the one without a look ahead.
    struct Straight;

    impl Kernel for Straight {
        fn gemm(&self, a: Matrix<'_>, b: Matrix<'_>, drop: u32, add: bool, out: &mut [i32]) {
            Scalar.gemm(a, b, drop, add, out);
        }
        fn descend(
            &self,
            descend: &Descend,
            grad: &[i32],
            first: u32,
            pass: &[u8],
            velocity: MantissasMut<'_>,
            master: MantissasMut<'_>,
        ) -> Descent {
            let momentum = descend.momentum.map(|m| Momentum { rule: Rule::Velocity, ..m });
            let descend = Descend { momentum, ..*descend };
            Scalar.descend(&descend, grad, first, pass, velocity, master)
        }
    }

    #[test]
    fn a_kernel_that_does_not_look_ahead_is_found() {
        let fault = elements(&Straight).unwrap_err();
        assert_eq!((fault.part, fault.wrong), ("momentum", Wrong::Numbers));
    }
}
