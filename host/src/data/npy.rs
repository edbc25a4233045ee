//! NumPy's array files.

mod array;
mod header;

use self::array::Array;
use super::config::{Channels, NpyConfig};
use super::file::stem;
use super::{DataError, Dataset, SearchPath, Split, fixed, labels, sample_shape};

pub(crate) fn load(config: &NpyConfig, places: &SearchPath) -> Result<Dataset, DataError> {
    let samples_path = &places.file(&config.samples)?;
    let (targets_path, are_labels) = match (&config.labels, &config.targets) {
        (Some(labels), None) => (places.file(labels)?, true),
        (None, Some(targets)) => (places.file(targets)?, false),
        (labels, _) => {
            let found = if labels.is_some() { "both" } else { "neither" };
            return Err(DataError::Setting {
                path: samples_path.clone(),
                key: "labels",
                message: format!("expected either `labels` or `targets`, found {found}"),
            });
        }
    };
    let array = Array::read(samples_path)?;
    if array.shape.len() > 4 {
        let expected = "one dimension for the samples and up to three for each";
        return Err(array.rank_error(expected));
    }
    let answers = Array::read(&targets_path)?;
    let total = array.shape[0];
    if answers.shape[0] != total {
        return Err(DataError::CountsDiffer {
            path: targets_path.clone(),
            labels: answers.shape[0],
            samples_path: samples_path.clone(),
            samples: total,
        });
    }
    let targets = if are_labels {
        if answers.shape.len() != 1 {
            return Err(answers.rank_error("one dimension, as labels have (no one-hot rows)"));
        }
        labels::from_indices(&targets_path, &answers.labels()?, config.classes)?
    } else {
        if answers.shape.len() > 2 {
            return Err(answers.rank_error("one or two dimensions, as targets have"));
        }
        let width = answers.shape[1..].iter().product();
        let numbers = answers.numbers()?;
        fixed::from_numbers(&targets_path, &numbers, width, 0)?.into_targets(width)
    };
    let mut samples = array.samples(config.scale_exponent)?;
    let shape = match (config.channels, &array.shape[1..]) {
        (Channels::Last, &[height, width, channels]) => [channels, height, width],
        (_, dims) => {
            let shape = sample_shape(dims);
            samples.mantissas.channels_last(shape);
            shape
        }
    };
    Ok(Dataset {
        name: stem(samples_path),
        shape,
        samples,
        targets,
        split: Split::shuffled(samples_path, total, config.validation, config.test)?,
        augment: None,
    })
}

#[cfg(test)]
mod tests {
    use npyz::WriterBuilder as _;

    use super::super::file::tests::{folder, gzip};
    use super::super::{Mantissas, Part, Targets};
    use super::array::tests::raw;
    use super::*;

    pub(super) fn encode<T: npyz::AutoSerialize + Clone>(shape: &[u64], elements: &[T]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let options = npyz::WriteOptions::new().default_dtype().shape(shape);
        let mut writer = options.writer(&mut bytes).begin_nd().unwrap();
        writer.extend(elements.iter().cloned()).unwrap();
        writer.finish().unwrap();
        bytes
    }

    fn config(are_labels: bool) -> NpyConfig {
        NpyConfig {
            samples: "x.npy".into(),
            labels: are_labels.then(|| "y.npy".into()),
            targets: (!are_labels).then(|| "y.npy".into()),
            classes: None,
            scale_exponent: None,
            channels: Channels::First,
            validation: Part::Count(0),
            test: Part::Count(1),
        }
    }

    fn load_with(config: &NpyConfig, x: &[u8], y: &[u8]) -> Result<Dataset, DataError> {
        let folder = folder(&[("x.npy", x), ("y.npy", y)]);
        load(config, &SearchPath::new(Some(folder.path()), None, None))
    }

    pub(super) fn labelled(x: &[u8]) -> Result<Dataset, DataError> {
        load_with(&config(true), x, &encode(&[2], &[0_i64, 1]))
    }

    #[test]
    fn samples_of_every_type() {
        let exact = |x: Vec<u8>| {
            let samples = labelled(&x).unwrap().samples;
            assert_eq!(samples.rounding_error, 0.0);
            (samples.mantissas, samples.exponent)
        };
        assert_eq!(exact(encode(&[2], &[3_u8, 255])), (Mantissas::U8(vec![3, 255]), -8));
        assert_eq!(exact(encode(&[2], &[3_i8, -128])), (Mantissas::I8(vec![3, -128]), 0));
        assert_eq!(exact(encode(&[2], &[3_i16, -129])), (Mantissas::I16(vec![3, -129]), 0));
        let halves = Mantissas::I16(vec![8192, -16384]);
        assert_eq!(exact(encode(&[2], &[0.5_f32, -1.0])), (halves.clone(), -14));
        assert_eq!(exact(gzip(&encode(&[2], &[0.5_f64, -1.0]))), (halves, -14));
        let big_endian = "{'descr': '>i2', 'fortran_order': False, 'shape': (2,), }";
        let big_endian = raw(big_endian, &[0, 3, 1, 0]);
        assert_eq!(exact(big_endian), (Mantissas::I16(vec![3, 256]), 0));
    }

    #[test]
    fn labels_of_every_integer_type() {
        let x = encode(&[2], &[0_u8, 1]);
        for y in [
            encode(&[2], &[0_u8, 2]),
            encode(&[2], &[0_u16, 2]),
            encode(&[2], &[0_u32, 2]),
            encode(&[2], &[0_u64, 2]),
            encode(&[2], &[0_i8, 2]),
            encode(&[2], &[0_i16, 2]),
            encode(&[2], &[0_i32, 2]),
            encode(&[2], &[0_i64, 2]),
        ] {
            let set = load_with(&config(true), &x, &y).unwrap();
            let names = vec!["0".into(), "1".into(), "2".into()];
            assert_eq!(set.targets, Targets::Classes { labels: vec![0, 2], names });
        }
        let scaled = NpyConfig { scale_exponent: Some(-4), classes: Some(10), ..config(true) };
        let set = load_with(&scaled, &x, &encode(&[2], &[0_u8, 2])).unwrap();
        assert_eq!((set.samples.exponent, set.outputs()), (-4, 10));
    }

    #[test]
    fn targets_are_numbers() {
        let x = encode(&[2, 1, 2], &[0_u8, 1, 2, 3]);
        let set = load_with(&config(false), &x, &encode(&[2, 2], &[0.5, 1.0, -1.0, 0.0])).unwrap();
        assert_eq!(set.shape, [1, 1, 2]);
        let mantissas = vec![8192, 16384, -16384, 0];
        let expected = Targets::Values { mantissas, exponent: -14, width: 2, rounding_error: 0.0 };
        assert_eq!(set.targets, expected);
    }

    #[test]
    fn channels_lie_side_by_side_whatever_the_file_has() {
        let (planes, pixels) = ([1_u8, 2, 3, 10, 20, 30], [1_u8, 10, 2, 20, 3, 30]);
        let twice = |one: [u8; 6]| [one, one].concat();
        let first = labelled(&encode(&[2, 2, 1, 3], &twice(planes))).unwrap();
        let config = NpyConfig { channels: Channels::Last, ..config(true) };
        let y = encode(&[2], &[0_i64, 1]);
        let last = load_with(&config, &encode(&[2, 1, 3, 2], &twice(pixels)), &y).unwrap();
        for set in [first, last] {
            assert_eq!(set.shape, [2, 1, 3]);
            assert_eq!(set.samples.mantissas, Mantissas::U8(twice(pixels)));
        }
        // Without channels there is nothing to tell apart.
        let grey = load_with(&config, &encode(&[2, 2, 3], &twice(planes)), &y).unwrap();
        assert_eq!(grey.shape, [1, 2, 3]);
        assert_eq!(grey.samples.mantissas, Mantissas::U8(twice(planes)));
    }

    #[test]
    fn files_that_do_not_belong_together_are_told() {
        let x = encode(&[2], &[0_u8, 1]);
        let error = |y: Vec<u8>, are_labels| load_with(&config(are_labels), &x, &y).unwrap_err();
        let counts = error(encode(&[3], &[0_u8, 0, 0]), true);
        assert!(matches!(counts, DataError::CountsDiffer { labels: 3, samples: 2, .. }));
        let one_hot = error(encode(&[2, 2], &[0_u8, 1, 1, 0]), true);
        assert!(matches!(one_hot, DataError::Rank { found: 2, .. }), "{one_hot}");
        let floats = error(encode(&[2], &[0.0, 1.0]), true);
        assert!(matches!(floats, DataError::ElementType { .. }), "{floats}");
        let cube = error(encode(&[2, 1, 1], &[0.0, 1.0]), false);
        assert!(matches!(cube, DataError::Rank { found: 3, .. }), "{cube}");
        let both = NpyConfig { targets: Some("y.npy".into()), ..config(true) };
        let both = load_with(&both, &x, &x).unwrap_err().to_string();
        assert!(both.ends_with("expected either `labels` or `targets`, found both"), "{both}");
        let neither = NpyConfig { labels: None, ..config(true) };
        let neither = load_with(&neither, &x, &x).unwrap_err().to_string();
        assert!(neither.ends_with("found neither"), "{neither}");
    }
}
