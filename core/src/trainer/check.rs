//! What a call gives is checked before anything changes.

use super::{Planned, Samples, StepError, Targets, Trainer};
use crate::{
    config::is_near,
    graph::LayerPlan,
    kernel::Kernel,
    strategy::Strategy,
    uses::{Part, Uses},
};

/// Elements of one sample and of one output.
#[derive(Clone, Copy)]
pub(super) struct Rows {
    pub(super) sample: usize,
    pub(super) outputs: usize,
    /// Samples are the codes of the first layer.
    pub(super) in_place: bool,
}

impl Rows {
    /// How many samples these are, if they are whole ones and at most `room`.
    pub(super) fn samples(self, given: Samples<'_>, room: usize) -> Result<usize, StepError> {
        check_exponent(given.exponent)?;
        let (sample, found) = (self.sample, given.len());
        if found == 0 || sample == 0 || !found.is_multiple_of(sample) {
            return Err(StepError::SampleLength { sample, found });
        }
        let samples = found / sample;
        if samples > room {
            return Err(StepError::TooMany { samples, room });
        }
        if self.in_place && given.codes().is_none() {
            return Err(StepError::NoCodes);
        }
        Ok(samples)
    }

    /// As [`samples`](Self::samples), with one target for each that the network can give.
    pub(super) fn pairs(
        self,
        samples: Samples<'_>,
        targets: Targets<'_>,
        room: usize,
    ) -> Result<usize, StepError> {
        let outputs = self.outputs;
        let samples = self.samples(samples, room)?;
        match targets {
            Targets::Classes(classes) => {
                let bad = classes.iter().find(|&&class| usize::from(class) >= outputs);
                if let Some(&class) = bad {
                    return Err(StepError::Class { class, outputs });
                }
                let targets = classes.len();
                if targets != samples {
                    return Err(StepError::TargetCount { samples, targets });
                }
            }
            Targets::Values { mantissas, exponent } => {
                check_exponent(exponent)?;
                let (expected, found) = (samples.saturating_mul(outputs), mantissas.len());
                if found != expected {
                    return Err(StepError::TargetLength { expected, found });
                }
            }
        }
        Ok(samples)
    }
}

impl<const N: usize, K: Kernel, S: Strategy, P: Planned<N>> Trainer<'_, N, K, S, P> {
    pub(super) fn rows(&self) -> Rows {
        let layers = self.plan.plan().layers();
        let elements =
            |layer: Option<&LayerPlan>| layer.map_or(0, |plan| plan.way.outputs as usize);
        let point = self.layers.first().is_some_and(|input| input.activation.is_some());
        Rows {
            sample: elements(layers.first()),
            outputs: elements(layers.last()),
            in_place: !P::Uses::uses(Part::InputPoint) || !point,
        }
    }
}

/// Of samples and targets as of settings, so that sums of several exponents stay inside an `i16`
/// and what is learnt inside the bounds that a checkpoint may hold.
fn check_exponent(exponent: i16) -> Result<(), StepError> {
    if is_near(exponent) { Ok(()) } else { Err(StepError::Exponent { exponent }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trainer::SampleData;

    #[test]
    fn every_mismatch_has_its_error() {
        let rows = Rows { sample: 4, outputs: 3, in_place: false };
        let bytes = [0u8; 12];
        let samples = |n| Samples { data: SampleData::U8(&bytes[..n]), exponent: 0 };
        assert_eq!(rows.pairs(samples(8), Targets::Classes(&[0, 2]), 2), Ok(2));
        for n in [0, 3, 9] {
            let error = StepError::SampleLength { sample: 4, found: n };
            assert_eq!(rows.samples(samples(n), 9), Err(error));
        }
        let error = StepError::TooMany { samples: 3, room: 2 };
        assert_eq!(rows.samples(samples(12), 2), Err(error));
        let error = StepError::Class { class: 3, outputs: 3 };
        assert_eq!(rows.pairs(samples(4), Targets::Classes(&[3]), 2), Err(error));
        let error = StepError::TargetCount { samples: 2, targets: 1 };
        assert_eq!(rows.pairs(samples(8), Targets::Classes(&[0]), 2), Err(error));
        for found in [0, 3, 5, 7, 8, 9] {
            let values = Targets::Values { mantissas: &[0; 9][..found], exponent: 0 };
            let error = StepError::TargetLength { expected: 6, found };
            assert_eq!(rows.pairs(samples(8), values, 2), Err(error));
        }
        let values = Targets::Values { mantissas: &[0; 6], exponent: 0 };
        assert_eq!(rows.pairs(samples(8), values, 2), Ok(2));
    }

    #[test]
    fn samples_in_place_are_bytes_with_a_sign() {
        let rows = Rows { sample: 2, outputs: 1, in_place: true };
        let check = |data| rows.samples(Samples { data, exponent: 0 }, 1);
        assert_eq!(check(SampleData::I8(&[-128, 127])), Ok(1));
        assert_eq!(check(SampleData::U8(&[0, 127])), Ok(1));
        assert_eq!(check(SampleData::U8(&[0, 128])), Err(StepError::NoCodes));
        assert_eq!(check(SampleData::I16(&[0, 1])), Err(StepError::NoCodes));
    }

    #[test]
    fn exponents_lie_where_those_of_settings_do() {
        let rows = Rows { sample: 1, outputs: 1, in_place: false };
        for (exponent, fits) in [(-65, false), (-64, true), (64, true), (3000, false)] {
            let expected = if fits { Ok(1) } else { Err(StepError::Exponent { exponent }) };
            let samples = Samples { data: SampleData::U8(&[0]), exponent };
            assert_eq!(rows.samples(samples, 1), expected);
            let values = Targets::Values { mantissas: &[0], exponent };
            assert_eq!(rows.pairs(Samples { exponent: 0, ..samples }, values, 1), expected);
        }
    }
}
