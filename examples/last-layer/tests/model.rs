//! The committed model is what its command makes.

use fixgrad::kernel::Device;
use fixgrad_boards::{digits, training};
use last_layer::MODEL;

#[test]
fn training_again_gives_the_model_byte_for_byte() {
    let mut arena = digits::ARENA;
    let digits = digits::TRAINING;
    let kernel = Device::default();
    let mut trainer = training::trainer(&digits::TASK, arena.as_mut_slice(), kernel).unwrap();
    for step in 0..digits::STEPS {
        training::train_step(&mut trainer, (digits.batch)(step)).unwrap();
    }
    let mut buffer = [0; 4096];
    let bytes = trainer.freeze().unwrap().write(trainer.graph(), &mut buffer).unwrap();
    assert!(bytes == MODEL, "run the example `pretrain` and commit what it writes");
}
