//! A trained network at work: outputs, loss and accuracy by the inference settings.

use super::{
    Planned, Samples, StepError, Tally, Targets, Trainer, engine::Mode, samples::linked_samples,
};
use crate::{
    graph::{Region, pick},
    kernel::Kernel,
    loss::Outputs,
    strategy::Strategy,
    tensor::{Mantissas, MantissasMut},
};

impl<const N: usize, K: Kernel, S: Strategy, P: Planned<N>> Trainer<'_, N, K, S, P> {
    /// Loss and accuracy of any number of samples, by the inference settings. Leaves no trace.
    pub fn evaluate(
        &mut self,
        samples: Samples<'_>,
        targets: Targets<'_>,
    ) -> Result<Tally, StepError> {
        let count = self.rows().pairs(samples, targets, usize::MAX)?;
        Ok(self.passes(Mode::Infer, samples, targets, count))
    }

    /// Runs up to a micro-batch of samples by the inference settings; [`outputs`](Self::outputs)
    /// then gives the results. Returns how many samples there were. Leaves no trace in training.
    pub fn infer(&mut self, samples: Samples<'_>) -> Result<usize, StepError> {
        let count = self.rows().samples(samples, self.plan().micro_batch.into())?;
        let samples = linked_samples::<P::Uses>(samples);
        self.pass(Mode::Infer, samples, None, count, &mut Tally::default());
        Ok(count)
    }

    /// The outputs of sample `index` of the last [`infer`](Self::infer). There are none where it
    /// had fewer samples, and after a training step, which lends their memory to gradients.
    pub fn outputs(&mut self, index: usize) -> Outputs<'_> {
        let outputs = if index < self.shown.into() { self.rows().outputs } else { 0 };
        let last = self.graph.layers().len().saturating_sub(1);
        let exponent = self.exponents.get(last).map_or(0, |now| now.output);
        let holder = self.plan().layers().get(last).map_or(0, |plan| usize::from(plan.output));
        let plan = self.plan.plan().layers().get(holder);
        let region = plan.map_or(&Region::NONE, |plan| &plan.activation);
        let [codes] = pick(self.memory, [region]);
        let codes = match codes {
            MantissasMut::I8(m) => Mantissas::I8(m),
            MantissasMut::I16(m) => Mantissas::I16(m),
            MantissasMut::I32(m) => Mantissas::I32(m),
        };
        Outputs { codes: codes.part(index.saturating_mul(outputs), outputs), exponent }
    }
}
