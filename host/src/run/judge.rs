//! The test set, touched once.

use anyhow::Result;
use fixgrad::{
    kernel::Kernel,
    loss::{LOSS_EXPONENT, Loss, Target},
    trainer::Tally,
};

use super::{
    picture::picture,
    record::{Test, Wrong},
    session::Session,
};
use crate::data::Targets;

/// Wrongly classified samples that are kept as pictures.
const PICTURES: usize = 12;

/// Runs the network over the test set by the inference settings.
pub fn judge<K: Kernel + Copy + Send>(session: &mut Session<'_, K>) -> Result<Test> {
    let test = &session.data.split.test;
    let classes = match &session.data.targets {
        Targets::Classes { names, .. } => names.len(),
        Targets::Values { .. } => 0,
    };
    let mut out = Test {
        accuracy: f64::NAN,
        loss: f64::NAN,
        confusion: vec![vec![0; classes]; classes],
        wrong: Vec::new(),
    };
    let mut tally = Tally::default();
    let loss = Loss::of(&session.compiled.config.train);
    let size = usize::from(session.compiled.config.train.micro_batch.max(1));
    for (group, indices) in test.chunks(size).enumerate() {
        session.batch.fill(indices.iter().copied());
        session.trainer.infer(session.batch.samples())?;
        for (i, &index) in indices.iter().enumerate() {
            let outputs = session.trainer.outputs(i);
            tally.samples += 1;
            match &session.data.targets {
                Targets::Classes { labels, .. } => {
                    let label = labels[index as usize];
                    let predicted = outputs.argmax();
                    tally.loss += loss.value(outputs, &Target::Class(label));
                    tally.correct += u32::from(predicted == label);
                    let row = out.confusion.get_mut(usize::from(label));
                    if let Some(cell) = row.and_then(|row| row.get_mut(usize::from(predicted))) {
                        *cell += 1;
                    }
                    if predicted != label && out.wrong.len() < PICTURES {
                        let place = (group * size + i) as u64;
                        out.wrong.extend(picture(session.data, index).map(|picture| Wrong {
                            index: place,
                            label,
                            predicted,
                            width: picture.width,
                            height: picture.height,
                            pixels: picture.pixels,
                        }));
                    }
                }
                Targets::Values { mantissas, exponent, width, .. } => {
                    let from = index as usize * width;
                    let values = &mantissas[from..from + width];
                    let target = Target::Values(values, (*exponent).into());
                    tally.loss += loss.value(outputs, &target);
                    tally.correct += loss.right(outputs, &target);
                }
            }
        }
    }
    (out.loss, out.accuracy) = means(tally, session.answers());
    Ok(out)
}

/// Mean loss, and right answers as a share of all, of which a sample has `answers`; not a number where
/// there is none.
pub(crate) fn means(tally: Tally, answers: usize) -> (f64, f64) {
    let samples = f64::from(tally.samples);
    let loss = tally.loss as f64 * f64::from(LOSS_EXPONENT).exp2() / samples;
    let share = f64::from(tally.correct) / (samples * answers as f64);
    (loss, if answers > 0 { share } else { f64::NAN })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accuracy_is_a_share_of_all_answers() {
        let tally = Tally { samples: 4, loss: 1 << 18, correct: 6 };
        assert_eq!(means(tally, 2), (1.0, 0.75));
        assert!(means(tally, 0).1.is_nan());
    }
}
