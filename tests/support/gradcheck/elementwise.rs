//! Layers that work number by number.

use fixgrad::{
    graph::{Dropout, Hardtanh, Kind, LeakyRelu},
    trainer::Tensor,
};

use super::{Step, forward::Layer};
use crate::reference::Expected;

/// A number of such a layer.
pub(super) struct Element {
    pub(super) output: Expected,
    /// What the gradient is multiplied with, and how far that may be off; none where it follows from
    /// the output.
    slope: Option<(f64, f64)>,
}

impl Element {
    const fn exactly(value: f64) -> Self {
        Self { output: Expected { value, units: 0.0, absolute: 0.0 }, slope: None }
    }
}

/// The number of the stream in docs/numerics.md.
const DROPOUT: u32 = 4 << 8;
/// One in the units of curves.
const ONE: f64 = 32_768.0;

impl Step<'_> {
    /// What a layer makes of its input; none where it does not work number by number.
    pub(super) fn elements(&self, i: usize, below: &[f64]) -> Option<Vec<Element>> {
        let unit = self.unit_of_outputs(self.inputs(i)[0]);
        let each = |of: &dyn Fn(f64) -> Element| Some(below.iter().map(|&x| of(x)).collect());
        // Outputs and slopes of curves are rounded, and come from tables.
        let curve = |y: f64, allowed: f64, slope: f64, back: i32| Element {
            output: Expected { value: y, units: 0.0, absolute: allowed / ONE },
            slope: Some((slope, 0.6 * f64::from(-back).exp2())),
        };
        match self.case.graph.view().layers()[i].kind {
            Kind::Relu(_) => each(&|x| Element::exactly(x.max(0.0))),
            Kind::Relu6(_) => each(&|x| Element::exactly(x.clamp(0.0, border(6, unit)))),
            Kind::Hardtanh(Hardtanh { low, high }) => {
                each(&|x| Element::exactly(x.clamp(border(low, unit), border(high, unit))))
            }
            Kind::LeakyRelu(LeakyRelu { shift }) => each(&|x| {
                let down = || (x / unit * f64::from(-i16::from(shift)).exp2()).floor() * unit;
                Element::exactly(if x < 0.0 { down() } else { x })
            }),
            Kind::Sigmoid(_) => each(&|x| {
                let y = 1.0 / (1.0 + (-x).exp());
                curve(y, 1.5, y * (1.0 - y), 9)
            }),
            Kind::Tanh(_) => each(&|x| curve(x.tanh(), 3.0, 1.0 - x.tanh().powi(2), 7)),
            Kind::Hardsigmoid(_) => each(&|x| {
                let y = (x / 6.0 + 0.5).clamp(0.0, 1.0);
                let near = (x.abs() - 3.0).abs() < 2.0 * f64::from(-14).exp2() && x.abs() != 3.0;
                let element = curve(y, 1.0, f64::from(u8::from(x.abs() < 3.0)) / 6.0, 10);
                let slope =
                    element.slope.map(|(slope, off)| (slope, if near { 0.17 } else { off }));
                Element { slope, ..element }
            }),
            Kind::Dropout(Dropout { p }) => {
                let key = self.key(i, Tensor::Activation, DROPOUT);
                let factor = ONE / (ONE - f64::from(p));
                let elements = (0u32..).zip(below).map(|(element, x)| {
                    let stays = key.half(element) >= 2 * u32::from(p);
                    self.coverage.note_if(!stays, "numbers that are left out");
                    let slope = if stays { factor } else { 0.0 };
                    // Factors are powers of two, or have 15 bits.
                    let off = if factor.log2().fract() == 0.0 { 0.0 } else { slope * 1e-4 };
                    let absolute = x.abs() * off;
                    let output = Expected { value: x * slope, units: 0.0, absolute };
                    Element { output, slope: Some((slope, off)) }
                });
                Some(elements.collect())
            }
            _ => None,
        }
    }

    /// What such a layer sends down.
    pub(super) fn through_elements(
        &self,
        i: usize,
        grad: Vec<Expected>,
        layer: &Layer,
    ) -> Vec<Expected> {
        let kind = self.case.graph.view().layers()[i].kind;
        let unit = self.unit_of_outputs(i);
        let between = |y: f64, low: i8, high: i8| y > border(low, unit) && y < border(high, unit);
        let shift_unit = matches!(kind, Kind::LeakyRelu(_)).then(|| self.unit_of_grad(i));
        let all = grad.into_iter().zip(&layer.outputs).enumerate();
        all.map(|(n, (g, &y))| match kind {
            Kind::Relu(_) => g.unless(y <= 0.0),
            Kind::Relu6(_) => g.unless(!between(y, 0, 6)),
            Kind::Hardtanh(Hardtanh { low, high }) => g.unless(!between(y, low, high)),
            Kind::LeakyRelu(LeakyRelu { shift }) if y < 0.0 => {
                let slope = f64::from(-i16::from(shift)).exp2();
                let absolute = g.absolute + shift_unit.unwrap_or_default();
                Expected { value: g.value * slope, absolute, ..g }
            }
            _ => match layer.elements.get(n).and_then(|element| element.slope) {
                Some((slope, off)) => {
                    Expected { value: g.value * slope, absolute: g.value.abs() * off, ..g }
                }
                None => g,
            },
        })
        .collect()
    }

    /// The unit of the codes that a layer hands on.
    pub(super) fn unit_of_outputs(&self, i: usize) -> f64 {
        match self.config(i).activation {
            Some(_) => self.recorded(i, Tensor::Activation, true).first().map_or(1.0, |c| c.unit()),
            None if i == 0 => f64::from(self.case.exponent).exp2(),
            None => self.unit_of_outputs(self.inputs(i)[0]),
        }
    }

    /// The unit of what arrives at a layer from above: of codes where it has a point for them, else of
    /// the sums that go to the next point below.
    pub(super) fn unit_of_grad(&self, i: usize) -> f64 {
        let mut at = i;
        while self.config(at).activation_grad.is_none() && at > 0 {
            at = self.inputs(at)[0];
        }
        let numbers = self.recorded(at, Tensor::ActivationGrad, at == i);
        numbers.first().map_or(0.0, |number| number.unit())
    }
}

/// A whole number as codes have it: rounded to units towards zero.
fn border(border: i8, unit: f64) -> f64 {
    (f64::from(border) / unit).trunc() * unit
}
