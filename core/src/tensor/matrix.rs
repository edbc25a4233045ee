//! A matrix is a view of mantissas with two strides, as in BLAS: a transpose costs nothing.

use super::Mantissas;

/// A read-only matrix: element `(r, c)` is mantissa `r * row_stride + c * col_stride`.
#[derive(Clone, Copy, Debug)]
pub struct Matrix<'a> {
    /// The mantissas.
    pub data: Mantissas<'a>,
    /// Rows.
    pub rows: usize,
    /// Columns.
    pub cols: usize,
    /// Distance between rows.
    pub row_stride: usize,
    /// Distance between columns.
    pub col_stride: usize,
}

impl<'a> Matrix<'a> {
    /// `rows` by `cols`, rows one after the other. Rows that `data` does not hold are dropped.
    pub fn new(data: Mantissas<'a>, rows: usize, cols: usize) -> Self {
        let rows = data.len().checked_div(cols).unwrap_or(0).min(rows);
        Self { data, rows, cols, row_stride: cols, col_stride: 1 }
    }

    /// `len` columns from column `from` on of a matrix as [`new`](Self::new) makes it.
    pub(crate) fn columns(
        data: Mantissas<'a>,
        rows: usize,
        cols: usize,
        from: usize,
        len: usize,
    ) -> Self {
        let rows = data.len().checked_div(cols).unwrap_or(0).min(rows);
        let from = from.min(cols);
        let data = data.part(from, data.len().saturating_sub(from));
        Self { data, rows, cols: len.min(cols - from), row_stride: cols, col_stride: 1 }
    }

    /// The transpose.
    #[must_use]
    pub const fn t(self) -> Self {
        Self {
            rows: self.cols,
            cols: self.rows,
            row_stride: self.col_stride,
            col_stride: self.row_stride,
            ..self
        }
    }

    /// Rows `from..from + len`, as far as they exist.
    #[must_use]
    pub fn row_range(self, from: usize, len: usize) -> Self {
        let from = from.min(self.rows);
        let rows = len.min(self.rows - from);
        let skip = from.saturating_mul(self.row_stride);
        let data = self.data.part(skip, self.data.len().saturating_sub(skip));
        Self { data, rows, ..self }
    }

    /// Columns `from..from + len`, as far as they exist.
    #[must_use]
    pub fn col_range(self, from: usize, len: usize) -> Self {
        self.t().row_range(from, len).t()
    }

    /// True when the matrix has elements and its data holds them all.
    pub(crate) fn is_whole(&self) -> bool {
        let last = |len: usize, stride: usize| len.checked_sub(1)?.checked_mul(stride);
        self.col_stride.min(self.row_stride) > 0
            && last(self.rows, self.row_stride)
                .zip(last(self.cols, self.col_stride))
                .and_then(|(row, col)| row.checked_add(col))
                .is_some_and(|last| last < self.data.len())
    }

    /// Element `(row, col)`; zero outside the data.
    pub fn at(&self, row: usize, col: usize) -> i32 {
        let (row, col) = (row.saturating_mul(self.row_stride), col.saturating_mul(self.col_stride));
        self.data.get(row.saturating_add(col))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transposes_and_ranges_are_views_of_the_same_numbers() {
        let data = [1i8, 2, 3, 4, 5, 6];
        let m = Matrix::new(Mantissas::I8(&data), 2, 3);
        assert_eq!((m.at(1, 2), m.t().at(2, 1), m.t().rows), (6, 6, 3));
        let right = m.col_range(1, 9);
        assert_eq!((right.cols, right.at(0, 0), right.at(1, 1)), (2, 2, 6));
        assert_eq!(m.row_range(1, 1).at(0, 0), 4);
        assert_eq!(m.row_range(7, 1).rows, 0);
    }
}
