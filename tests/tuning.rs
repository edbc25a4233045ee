//! The program that tunes a network on a chip belongs to the configuration and the data of the desktop.

use std::path::Path;

use fixgrad::prelude::*;
use fixgrad_boards::{digits, tune};
use fixgrad_host::{
    config::Experiment,
    data::{Mantissas, SearchPath, Targets as Answers},
};

fn experiment() -> Experiment {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a workspace");
    Experiment::read(&root.join("configs/digits_dscnn_tune.yaml")).expect("the configuration")
}

#[test]
fn the_program_has_the_settings_of_its_configuration() {
    let experiment = experiment();
    let facts = experiment.facts_of([1, 8, 8]).expect("a shape");
    let (compiled, _) = experiment.compile(&facts).expect("good settings");
    let view = compiled.graph.view();
    assert_eq!(view.hash(), tune::NET.view().hash());
    assert_eq!(compiled.config.train, tune::TRAIN);
    assert_eq!(compiled.config.layers.len(), tune::SETTINGS.len());
    for (i, (desk, chip)) in compiled.config.layers.iter().zip(tune::SETTINGS).enumerate() {
        if view.layer_parameters(i).0 > 0 {
            assert_eq!(*desk, chip, "layer {i}");
        } else if i > 0 {
            let points = |layer: &LayerConfig| (layer.activation, layer.activation_grad);
            assert_eq!(points(desk), points(&chip), "layer {i}");
        } else {
            // The program reads its pictures where they lie.
            assert!(desk.activation.is_some() && chip.activation.is_none());
        }
    }
}

#[test]
fn the_desktop_learned_from_no_picture_of_the_program() {
    let set = experiment().load_data(&SearchPath::new(None, None, None)).expect("the digits");
    let (Mantissas::U8(pixels), Answers::Classes { labels, .. }) =
        (&set.samples.mantissas, &set.targets)
    else {
        panic!("expected pixels and classes")
    };
    // In the order of the program: pictures of the test, then some of those that are to learn from.
    let unseen = set.split.test.iter().chain(&set.split.validation);
    assert_eq!(set.split.test.len(), tune::TESTED);
    assert!(set.split.validation.len() >= tune::LEARNED);
    for (i, &k) in unseen.take(tune::TESTED + tune::LEARNED).enumerate() {
        let (picture, label) = digits::picture(i).expect("a picture");
        assert_eq!(pixels[k as usize * 64..][..64], *picture, "picture {i}");
        assert_eq!(labels[k as usize], label, "picture {i}");
    }
}
