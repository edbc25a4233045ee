//! Work that is cut in two until every thread has its part.

use fixgrad::tensor::{MantissasMut, Matrix, Source};

/// Runs `job` in `parts` parts, on as many threads as there are.
pub(super) fn share<J: Cut, R: Send>(
    job: J,
    parts: usize,
    run: &(impl Fn(J) -> R + Sync),
    merge: &(impl Fn(R, R) -> R + Sync),
) -> R {
    if parts < 2 {
        return run(job);
    }
    let half = parts / 2;
    let (left, right) = job.cut(half, parts);
    let (left, right) = rayon_core::join(
        || share(left, half, run, merge),
        || share(right, parts - half, run, merge),
    );
    merge(left, right)
}

/// Work that can be cut in two.
pub(super) trait Cut: Send + Sized {
    /// The first `part` of `parts` parts, and the rest.
    fn cut(self, part: usize, parts: usize) -> (Self, Self);
}

impl Cut for &[i32] {
    fn cut(self, part: usize, parts: usize) -> (Self, Self) {
        self.split_at(self.len() * part / parts)
    }
}

impl Cut for Source<'_> {
    fn cut(self, part: usize, parts: usize) -> (Self, Self) {
        self.split_at(self.len() * part / parts)
    }
}

/// Rows of a product.
pub(super) struct Rows<'a> {
    pub(super) a: Matrix<'a>,
    pub(super) cols: usize,
    pub(super) out: &'a mut [i32],
}

impl Cut for Rows<'_> {
    fn cut(self, part: usize, parts: usize) -> (Self, Self) {
        let Self { a, cols, out } = self;
        let rows = a.rows * part / parts;
        let (top, bottom) = out.split_at_mut((rows * cols).min(out.len()));
        (
            Self { a: a.row_range(0, rows), cols, out: top },
            Self { a: a.row_range(rows, a.rows), cols, out: bottom },
        )
    }
}

/// Part of a tensor with its codes, or its weights and velocities.
pub(super) struct Slice<'a, S> {
    pub(super) source: S,
    pub(super) len: usize,
    pub(super) first: u32,
    pub(super) velocity: MantissasMut<'a>,
    pub(super) codes: MantissasMut<'a>,
}

impl<S: Cut> Cut for Slice<'_, S> {
    fn cut(self, part: usize, parts: usize) -> (Self, Self) {
        let at = self.len * part / parts;
        let (source, rest) = self.source.cut(part, parts);
        let (velocity, velocity_rest) = self.velocity.split(at);
        let (codes, codes_rest) = self.codes.split(at);
        let first = self.first.wrapping_add(at as u32);
        (
            Self { source, len: at, first: self.first, velocity, codes },
            Self {
                source: rest,
                len: self.len - at,
                first,
                velocity: velocity_rest,
                codes: codes_rest,
            },
        )
    }
}
