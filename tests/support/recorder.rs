//! A strategy that changes nothing and writes down what passes every point.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

use fixgrad::strategy::{Context, Place, Strategy, Tile};

/// A tensor on one side of its point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Which {
    /// The layer's place in the graph.
    pub layer: usize,
    /// The point.
    pub place: PlaceOrder,
    /// True for a bias or its gradient.
    pub bias: bool,
    /// True for codes, false for the sums that they were made from.
    pub codes: bool,
}

/// [`Place`] as a number, because maps want an order.
pub type PlaceOrder = u8;

/// A number as a point sees it, exactly: a mantissa and its unit.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Number {
    /// The mantissa.
    pub mantissa: i32,
    /// Exponent of the unit.
    pub exponent: i16,
}

impl Number {
    /// The unit.
    pub fn unit(self) -> f64 {
        f64::from(self.exponent).exp2()
    }

    /// The value; 53 bits hold every mantissa.
    pub fn value(self) -> f64 {
        f64::from(self.mantissa) * self.unit()
    }
}

/// What one step showed.
#[derive(Clone, Debug, Default)]
pub struct Recorder(Rc<RefCell<BTreeMap<Which, Vec<Number>>>>);

impl Recorder {
    /// Forgets everything, for the next step.
    pub fn clear(&self) {
        self.0.borrow_mut().clear();
    }

    /// A tensor, empty when nothing passed.
    pub fn tensor(&self, layer: usize, place: Place, bias: bool, codes: bool) -> Vec<Number> {
        let which = Which { layer, place: place as u8, bias, codes };
        self.0.borrow().get(&which).cloned().unwrap_or_default()
    }

    fn note(&self, place: Place, codes: bool, context: &Context, tile: &Tile<'_>) {
        let which =
            Which { layer: context.layer.into(), place: place as u8, bias: context.bias, codes };
        let mut tensors = self.0.borrow_mut();
        let tensor = tensors.entry(which).or_default();
        let end = tile.first as usize + tile.values.len();
        tensor.resize(tensor.len().max(end), Number::default());
        let numbers = tensor.iter_mut().skip(tile.first as usize);
        // Codes come with fraction bits for hooks that leave the grid; this one does not.
        let fraction = if codes { tile.unit - tile.exponent } else { 0 };
        for (number, &value) in numbers.zip(tile.values.iter()) {
            assert_eq!(value & ((1 << fraction) - 1), 0, "a code of whole units");
            *number = Number { mantissa: value >> fraction, exponent: tile.exponent + fraction };
        }
    }
}

macro_rules! record {
    ($($hook:ident $place:ident $codes:literal),*) => {$(
        fn $hook(&mut self, context: &Context, tile: &mut Tile<'_>) {
            self.note(Place::$place, $codes, context, tile);
        }
    )*};
}

impl Strategy for Recorder {
    record!(
        pre_weight Weight false, post_weight Weight true,
        pre_weight_grad WeightGrad false, post_weight_grad WeightGrad true,
        pre_activation Activation false, post_activation Activation true,
        pre_activation_grad ActivationGrad false, post_activation_grad ActivationGrad true
    );
}
