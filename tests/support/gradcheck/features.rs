//! What layers a case has, for the list of what was covered.

use fixgrad::graph::{Conv2d, Kind, Output, Padding, Relu};

use super::Step;
use crate::reference::Expected;

impl Step<'_> {
    /// Numbers of a window, those beside the picture too.
    pub(super) fn window(&self, i: usize) -> usize {
        let view = self.case.graph.view();
        match view.layers()[i].kind {
            Kind::GlobalAvgPool(_) => {
                let [_, height, width] = view.input_shape(i).0.map(usize::from);
                height * width
            }
            kind => windows(kind)
                .map_or(1, |(kernel, ..)| usize::from(kernel[0]) * usize::from(kernel[1])),
        }
    }

    /// Notes that a layer reads samples where they lie.
    pub(super) fn note_samples_in_place(&self, i: usize) {
        let kind = self.case.graph.view().layers()[i].kind.word();
        let in_place = self.case.config.layers[0].activation.is_none();
        self.coverage.note_if(
            in_place && self.inputs(i).contains(&0),
            format!("{kind} of samples in their place"),
        );
    }

    /// Notes the kind of a layer that a gradient has reached, and what is special about it.
    pub(super) fn note_features(&self, i: usize, grad: &[Expected]) {
        if grad.iter().all(|g| g.value == 0.0) {
            return;
        }
        let view = self.case.graph.view();
        let (kind, from, to) = (view.layers()[i].kind, view.input_shape(i), view.layers()[i].shape);
        let (word, config) = (kind.word(), self.config(i));
        self.coverage.note(word);
        self.coverage.note_if(config.activation.is_some(), format!("{word} with a point"));
        self.coverage.note_if(
            config.activation.is_some_and(|point| point.clip),
            format!("{word} with a mask"),
        );
        let copies = kind == Relu.into() && self.facts(i).output != Output::InPlace;
        self.coverage.note_if(copies, "a relu that makes a copy");
        let below = self.inputs(i)[0];
        let right_above = matches!(kind, Kind::MaxPool2d(_))
            && view.layers()[below].kind == Relu.into()
            && self.facts(below).output == Output::InPlace
            && self.config(below).activation_grad.is_none();
        self.coverage.note_if(right_above, "a max pool above a relu that keeps nothing");
        let flattened = matches!(view.layers()[below].kind, Kind::Flatten(_));
        self.coverage.note_if(flattened && from.0[0] > 1, format!("{word} of flattened pictures"));
        if let Kind::Conv2d(Conv2d { groups, bias, .. }) = kind {
            self.coverage.note_if(groups > 1, "groups");
            self.coverage.note_if(groups > 1 && groups == from.0[0], "depthwise");
            self.coverage.note_if(!bias, "conv2d without a bias");
        }
        let Some((kernel, stride, padding)) = windows(kind) else { return };
        let axes = || [0, 1].into_iter();
        let noted = [
            (to.0[1] > 1 && to.0[2] > 1, "several windows"),
            (kernel[0] != kernel[1], "oblong windows"),
            (stride[0] != stride[1], "two strides"),
            (axes().any(|axis| stride[axis] > 1 && to.0[axis + 1] > 1), "strides"),
            (
                axes().any(|axis| kernel[axis] > stride[axis] && to.0[axis + 1] > 1),
                "overlapping windows",
            ),
            (axes().any(|axis| stride[axis] > kernel[axis]), "windows apart"),
            (padding == Padding::Same && kernel.contains(&2), "uneven padding"),
            (padding == Padding::Same && kernel.contains(&3), "even padding"),
            (matches!(padding, Padding::Explicit(pad) if pad != [0; 2]), "explicit padding"),
        ];
        for (_, what) in noted.into_iter().filter(|(there, _)| *there) {
            self.coverage.note(format!("{word} with {what}"));
        }
    }
}

/// Kernel, stride and padding of a layer that sees its input through windows.
const fn windows(kind: Kind) -> Option<([u8; 2], [u8; 2], Padding)> {
    match kind {
        Kind::Conv2d(layer) => Some((layer.kernel, layer.stride, layer.padding)),
        Kind::MaxPool2d(layer) => Some((layer.kernel, layer.stride, layer.padding)),
        Kind::AvgPool2d(layer) => Some((layer.kernel, layer.stride, layer.padding)),
        _ => None,
    }
}
