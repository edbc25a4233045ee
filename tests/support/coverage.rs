//! What random cases have touched: a check that silently stops checking something should fail.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeSet,
};

use fixgrad::quant::{Quant, Round};

use crate::recorder::Number;

/// Features that were seen, and what stochastic rounding added up to.
#[derive(Debug, Default)]
pub struct Coverage {
    seen: RefCell<BTreeSet<String>>,
    /// Sum of the errors of stochastic rounding in units of the codes, and of their variances.
    drift: Cell<(f64, f64, f64)>,
}

impl Coverage {
    /// Remembers a feature.
    pub fn note(&self, feature: impl Into<String>) {
        self.seen.borrow_mut().insert(feature.into());
    }

    /// Remembers a feature if it is there.
    pub fn note_if(&self, there: bool, feature: impl Into<String>) {
        if there {
            self.note(feature);
        }
    }

    /// Remembers the rules of a tensor, and its drift.
    pub fn note_point(
        &self,
        what: &str,
        sums: &[Number],
        codes: &[Number],
        clipped: &[bool],
        quant: Quant,
    ) {
        if quant.bits == 1 {
            return self.note(format!("{what} binary"));
        }
        self.note(format!("{what} {:?}", quant.round));
        self.note_if(clipped.contains(&true), format!("{what} {:?}", quant.overflow));
        if quant.round != Round::Stochastic {
            return;
        }
        let (mut sum, mut variance, mut count) = self.drift.get();
        // Both neighbours have to fit: next to the border only what was rounded inwards is left.
        let largest = f64::from((1 << (quant.bits - 1)) - 1);
        for (number, code) in sums.iter().zip(codes) {
            let exact = number.value() / code.unit();
            if exact.abs() >= largest {
                continue;
            }
            let fraction = exact - exact.floor();
            sum += f64::from(code.mantissa) - exact;
            variance += fraction * (1.0 - fraction);
            count += 1.0;
        }
        self.drift.set((sum, variance, count));
    }

    /// Stochastic rounding is right on average. A carry has the probability of the dropped
    /// fraction up to the 2^-16 that 16 random bits can tell, and carries are independent, so
    /// their sum stays within six standard deviations.
    ///
    /// # Panics
    ///
    /// When it does not.
    pub fn assert_no_drift(&self) {
        let (sum, variance, count) = self.drift.get();
        let bound = count * (-16f64).exp2() + 6.0 * variance.sqrt();
        assert!(count > 0.0 && sum.abs() <= bound, "{sum} over {count} codes, allowed {bound}");
    }

    /// Every one of these features was seen.
    ///
    /// # Panics
    ///
    /// When one was not.
    pub fn assert_seen(&self, features: impl IntoIterator<Item = String>) {
        let seen = self.seen.borrow();
        let missing: Vec<String> = features.into_iter().filter(|f| !seen.contains(f)).collect();
        assert!(missing.is_empty(), "no case had: {missing:?}");
    }
}
