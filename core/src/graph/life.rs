//! When a tensor is in use.

/// First and last moment of a tensor, and what lies between them. Layer `i` runs forward at moment `i`,
/// the loss is at the number of layers `n`, and layer `i` runs backward at `2n - i`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Life {
    /// The first moment.
    pub first: u16,
    /// The last one.
    pub last: u16,
    /// First and last of the moments between at which nobody needs it: its numbers are not kept, but
    /// worked out again behind.
    pub gap: Option<(u16, u16)>,
}

/// The lives of the tensors of a layer that do not live for ever.
pub type Lives = [Life; 5];

impl Life {
    /// From the first moment to the last.
    pub const fn new(first: u16, last: u16) -> Self {
        Self { first, last, gap: None }
    }

    /// The moments without the gap; a piece that ends before it begins is none.
    pub const fn pieces(self) -> [(u16, u16); 2] {
        match self.gap {
            Some((from, to)) => {
                [(self.first, from.saturating_sub(1)), (to.saturating_add(1), self.last)]
            }
            None => [(self.first, self.last), (1, 0)],
        }
    }

    /// Whether it is in use at a moment.
    pub(super) const fn at(self, time: u16) -> bool {
        let lost = match self.gap {
            Some((from, to)) => from <= time && time <= to,
            None => false,
        };
        self.first <= time && time <= self.last && !lost
    }

    /// Whether both are in use at some moment.
    pub(super) const fn meets(self, other: Self) -> bool {
        if self.last < other.first || other.last < self.first {
            return false;
        }
        // A build asks this often, and few have a gap.
        if self.gap.is_none() && other.gap.is_none() {
            return true;
        }
        let ([a, b], [c, d]) = (self.pieces(), other.pieces());
        meet(a, c) || meet(a, d) || meet(b, c) || meet(b, d)
    }
}

/// Whether two pieces have a moment in common.
const fn meet(a: (u16, u16), b: (u16, u16)) -> bool {
    let first = if a.0 > b.0 { a.0 } else { b.0 };
    let last = if a.1 < b.1 { a.1 } else { b.1 };
    first <= last
}

#[cfg(test)]
mod tests {
    use super::Life;

    #[test]
    fn lives_meet_where_both_are_in_use() {
        let whole = Life::new(2, 9);
        let gap = |from, to| Life { gap: Some((from, to)), ..whole };
        for (life, moments) in [
            (whole, [2, 3, 4, 5, 6, 7, 8, 9].as_slice()),
            (gap(4, 7), &[2, 3, 8, 9]),
            (gap(3, 3), &[2, 4, 5, 6, 7, 8, 9]),
            (Life::new(5, 5), &[5]),
        ] {
            let used: std::vec::Vec<u16> = (0..12).filter(|&time| life.at(time)).collect();
            assert_eq!(used, moments);
            for other in [whole, gap(4, 7), gap(4, 4), gap(5, 8), Life::new(4, 6), Life::new(7, 20)]
            {
                let both = moments.iter().any(|&time| other.at(time));
                assert_eq!(
                    (life.meets(other), other.meets(life)),
                    (both, both),
                    "{life:?} {other:?}"
                );
            }
        }
    }
}
