//! Work on several threads, where a kernel has them.
//!
//! The core knows no threads. A kernel that has some says how many, and runs two halves of a job at
//! the same time; all others run jobs whole, and on a chip nothing of this is left.

use super::Kernel;
use crate::tensor::MantissasMut;

/// Work that can be cut in two: parts that write to different places.
pub(crate) trait Cut: Send + Sized {
    /// Its first `part` of `parts` parts, and the rest.
    fn cut(self, part: usize, parts: usize) -> (Self, Self);
}

/// Numbers that are worth a second thread.
const WORTH: usize = 1 << 14;

/// True when there is one thread: work that is large in code is then called where it is, since a closure
/// of it would be a function of its own.
#[inline(always)]
pub(crate) fn is_alone<K: Kernel>(kernel: &K) -> bool {
    kernel.threads() < 2
}

/// Runs a job over `size` numbers in as many parts as there are threads for.
#[inline(always)]
pub(crate) fn share<K: Kernel, J: Cut>(kernel: &K, job: J, size: usize, run: impl Fn(J) + Sync) {
    let threads = kernel.threads();
    if threads < 2 || size < 2 * WORTH {
        return run(job);
    }
    parts(kernel, job, threads.min(size / WORTH), &run);
}

fn parts<K: Kernel, J: Cut>(kernel: &K, job: J, count: usize, run: &(impl Fn(J) + Sync)) {
    if count < 2 {
        return run(job);
    }
    let half = count / 2;
    let (left, right) = job.cut(half, count);
    let (mut left, mut right) = (Some(left), Some(right));
    kernel.join(
        &mut || {
            if let Some(job) = left.take() {
                parts(kernel, job, half, run);
            }
        },
        &mut || {
            if let Some(job) = right.take() {
                parts(kernel, job, count - half, run);
            }
        },
    );
}

/// Rows of sums.
pub(crate) struct Rows<'a> {
    /// Sums in a row.
    pub(crate) row: usize,
    pub(crate) sums: &'a mut [i32],
}

impl Cut for Rows<'_> {
    fn cut(self, part: usize, parts: usize) -> (Self, Self) {
        let at = whole_rows(self.sums.len(), self.row, part, parts);
        let (left, right) = self.sums.split_at_mut_checked(at).unwrap_or_default();
        (Self { sums: left, ..self }, Self { sums: right, ..self })
    }
}

impl Cut for MantissasMut<'_> {
    fn cut(self, part: usize, parts: usize) -> (Self, Self) {
        let at = whole_rows(self.as_ref().len(), 1, part, parts);
        self.split(at)
    }
}

/// Where the first `part` of `parts` parts of `len` numbers ends: behind a whole row.
pub(crate) fn whole_rows(len: usize, row: usize, part: usize, parts: usize) -> usize {
    let row = row.max(1);
    len / row * part / parts.max(1) * row
}

#[cfg(test)]
mod tests {
    use super::{super::Scalar, *};
    use crate::tensor::Matrix;

    /// Runs the right half first.
    struct Backwards;

    impl Kernel for Backwards {
        fn gemm(&self, a: Matrix<'_>, b: Matrix<'_>, drop: u32, add: bool, out: &mut [i32]) {
            Scalar.gemm(a, b, drop, add, out);
        }
        fn threads(&self) -> usize {
            5
        }
        fn join(&self, left: &mut (dyn FnMut() + Send), right: &mut (dyn FnMut() + Send)) {
            right();
            left();
        }
    }

    #[test]
    fn every_row_is_worked_on_once_and_whole() {
        for rows in [0, 1, 2 * WORTH, 100_003] {
            let mut sums = std::vec![0; 3 * rows];
            share(&Backwards, Rows { row: 3, sums: &mut sums }, rows, |rows| {
                assert_eq!(rows.sums.len() % 3, 0);
                rows.sums.iter_mut().for_each(|sum| *sum += 1);
            });
            assert!(sums.iter().all(|&sum| sum == 1));
        }
    }
}
