//! The board's side of the link, byte by byte: what it does once, what it refuses, what it survives.

use fixgrad::{
    config::{BlobError, CRC32},
    kernel::Kernel,
    link::{Batch, Board, Part, Refusal, Request, Response, Storage, Wanted},
    strategy::Strategy,
    trainer::{SampleData, SetupError, StepError, StepRecord, Targets, Trainer},
};
use fixgrad_host::{
    link::{LinkError, pack},
    run::{Batch as Samples, Job},
};
use fixgrad_tests::{
    line::{self, PLAIN, Plain, answer, answers, answers_in_pieces, frame},
    mutate::{Mutator, reseal},
};
use proptest::prelude::*;

/// The bytes of a step of the plain job, and the requests for them.
fn first_step(job: &Job) -> (Vec<u8>, Batch) {
    let mut batch = Samples::new(&job.data);
    batch.fill(0..16);
    pack(batch.samples(), batch.targets(), 16)
}

fn puts(bytes: &[u8], sequence: &mut u16) -> Vec<u8> {
    let mut input = Vec::new();
    for (part, at) in bytes.chunks(400).zip((0..).step_by(400)) {
        *sequence += 1;
        input.extend(frame(*sequence, &Request::Put { at, bytes: part }));
    }
    input
}

#[test]
fn a_doubled_request_is_answered_twice_and_done_once() {
    let job = &*PLAIN;
    let (bytes, batch) = first_step(job);
    let mut sequence = 1;
    let mut input = frame(1, &Request::Hello);
    input.extend(puts(&bytes, &mut sequence));
    let part = Part { step: 0, from: 0, last: true, digest: true, batch };
    let train = frame(sequence + 1, &Request::Train(part));
    input.extend([train.clone(), train.clone()].concat());
    input.extend(frame(sequence + 2, &Request::State));
    // Much too late: a newer request was answered.
    input.extend(&train);
    input.extend(frame(sequence + 3, &Request::State));
    let found = answers(&job.compiled, Plain { graph: None }, 1 << 16, input);
    let [.., one, two, state, late] = &found[..] else { panic!("{found:?}") };
    assert_eq!(one, two);
    let Response::Stepped { record, digest: Some(digest) } = answer(one).1 else {
        panic!("{:?}", answer(one))
    };
    assert_eq!(record.step, 1);
    for (payload, stale) in [(state, 0), (late, 1)] {
        let Response::State(state) = answer(payload).1 else { panic!("{payload:?}") };
        assert_eq!((state.step, state.digest, state.pending), (1, digest, 0));
        assert_eq!((state.line.repeated, state.line.stale), (1, stale));
    }
}

#[test]
fn what_does_not_go_with_the_network_is_refused() {
    let job = &*PLAIN;
    let (bytes, batch) = first_step(job);
    let part = Part { step: 0, from: 0, last: true, digest: false, batch };
    let mut sequence = 1;
    let mut input = frame(1, &Request::Hello);
    input.extend(puts(&bytes, &mut sequence));
    let memory = fixgrad::trainer::LayerState::from_ranges([fixgrad::quant::RangeState::NEW; 8]);
    let wrong_class = {
        let mut bytes = bytes.clone();
        let end = bytes.len() - 2;
        bytes[end..].copy_from_slice(&77u16.to_le_bytes());
        let crc = CRC32.checksum(&bytes);
        (bytes, Batch { crc, ..batch })
    };
    let at = bytes.len() as u32 - 2;
    let last = &wrong_class.0[bytes.len() - 2..];
    let store = 4096;
    let cases = [
        (Request::Train(Part { step: 3, ..part }), Refusal::WrongStep { done: 0, asked: 3 }),
        (Request::Train(Part { from: 4, ..part }), Refusal::WrongPart { done: 0, asked: 4 }),
        (Request::Train(Part { batch: Batch { crc: 1, ..batch }, ..part }), Refusal::OtherSamples),
        // A step ends with the part that says so, or the device could neither go on nor end it.
        (
            Request::Train(Part { last: false, ..part }),
            Refusal::UnevenPart { samples: batch.count.into(), micro_batch: batch.count },
        ),
        (
            Request::Evaluate(Batch { storage: Storage::I16, count: 999, ..batch }),
            Refusal::Outside { needed: 999 * (64 * 2 + 2), found: store },
        ),
        (
            Request::Put { at: u32::MAX, bytes: &[1] },
            Refusal::Outside { needed: u32::MAX, found: store },
        ),
        (
            Request::Load { len: 12 },
            Refusal::Blob(BlobError::Truncated { expected: 18, found: 12 }),
        ),
        (Request::Layer { layer: 9 }, Refusal::NoLayer),
        (Request::SetLayer { layer: 4, memory: memory.memory() }, Refusal::NoLayer),
        (Request::SetDone { step: 0, digest: 1 }, Refusal::OtherState),
        (Request::Commit, Refusal::NoCheckpoint),
        (Request::Start, Refusal::NoSamples),
    ];
    for (request, _) in &cases {
        sequence += 1;
        input.extend(frame(sequence, request));
    }
    input.extend(frame(sequence + 1, &Request::Put { at, bytes: last }));
    let batch = wrong_class.1;
    input.extend(frame(sequence + 2, &Request::Train(Part { batch, ..part })));
    // A part of a state: nothing trains until all of it is there, or it is reset.
    input.extend(frame(sequence + 3, &Request::SetWeights { at: 0, bytes: &[1, 2, 3] }));
    input.extend(frame(sequence + 4, &Request::Train(part)));
    input.extend(frame(sequence + 5, &Request::Reset));
    input.extend(frame(sequence + 6, &Request::State));
    let found = answers(&job.compiled, Plain { graph: None }, 1 << 16, input);
    let tail = found.len() - 6;
    for (payload, (request, refusal)) in found[tail - cases.len()..tail].iter().zip(&cases) {
        let (_, found) = answer(payload);
        assert_eq!(found, Response::Refused(*refusal), "{request:?}");
        assert!(refusal.to_string().len() > 20);
    }
    let refused = |at: usize| match answer(&found[tail + at]).1 {
        Response::Refused(refusal) => Some(refusal),
        _ => None,
    };
    assert_eq!(refused(1), Some(Refusal::Step(StepError::Class { class: 77, outputs: 10 })));
    assert_eq!(refused(3), Some(Refusal::Mixed));
    assert_eq!([0, 2, 4, 5].map(refused), [None; 4]);
    let Response::State(state) = answer(&found[tail + 5]).1 else { panic!("no state") };
    assert_eq!((state.step, state.mixed), (0, false));
    let setup = SetupError::ArenaTooSmall { needed: 41_216, found: 32_768 };
    assert_eq!(
        LinkError::from(Refusal::from(setup)).to_string(),
        "the board refused: the configuration was refused: the plan needs 41,216 bytes, the arena \
         has 32,768: give it `PLAN.ram()`, or take a smaller micro-batch or fewer bits; a plan for \
         strategies is that of `Graph::plan_with_hooks`"
    );
}

/// A board that trains alone on the same pictures in every step.
struct Alone;

impl Board for Alone {
    fn name(&self) -> &str {
        "alone"
    }

    fn has_samples(&self) -> bool {
        true
    }

    fn work<const N: usize, K: Kernel, S: Strategy>(
        &mut self,
        trainer: &mut Trainer<'_, N, K, S>,
    ) -> Result<StepRecord, Refusal> {
        let samples =
            fixgrad::trainer::Samples { data: SampleData::U8(&[7; 16 * 64]), exponent: -4 };
        Ok(trainer.step(samples, Targets::Classes(&[3; 16]))?)
    }
}

#[test]
fn a_board_that_trains_alone_takes_all_that_has_arrived_before_the_next_step() {
    let requests = [Request::Hello, Request::Start, Request::State, Request::Pause, Request::State];
    let frames = (1..).zip(&requests).map(|(sequence, request)| frame(sequence, request));
    let input = frames.collect::<Vec<_>>().concat();
    for piece in [1, 3, 16] {
        let input = input.clone();
        let found = answers_in_pieces(&PLAIN.compiled, Alone, 1 << 16, input, piece);
        let [_, _, running, _, paused] = &found[..] else { panic!("{found:?}") };
        for (payload, is_running) in [(running, true), (paused, false)] {
            let Response::State(state) = answer(payload).1 else { panic!("{payload:?}") };
            assert_eq!((state.running, state.step), (is_running, 0), "{piece}");
        }
    }
}

#[test]
fn half_a_step_is_not_committed() {
    let job = line::job(8, "batch: 16, micro_batch: 4", "");
    let mut samples = Samples::new(&job.data);
    samples.fill(0..8);
    let (bytes, batch) = pack(samples.samples(), samples.targets(), 8);
    let mut sequence = 1;
    let mut input = frame(1, &Request::Hello);
    input.extend(puts(&bytes, &mut sequence));
    let part = Part { step: 0, from: 0, last: false, digest: false, batch };
    input.extend(frame(sequence + 1, &Request::Train(part)));
    input.extend(frame(sequence + 2, &Request::Commit));
    let found = answers(&job.compiled, Plain { graph: None }, 1 << 16, input);
    let [.., trained, commit] = &found[..] else { panic!("{found:?}") };
    assert!(matches!(answer(trained).1, Response::Tally(_)));
    let refusal = Refusal::WrongPart { done: 8, asked: 0 };
    assert_eq!(answer(commit).1, Response::Refused(refusal));
}

#[test]
fn a_board_that_was_reset_does_nothing_for_those_who_do_not_know_it() {
    let job = &*PLAIN;
    // Sequence numbers begin anywhere, also in the half that is behind a new count.
    for sequence in [2, 40_000] {
        let requests = [Request::Commit, Request::State, Request::Hello, Request::State];
        let frames =
            (sequence..).zip(&requests).map(|(sequence, request)| frame(sequence, request));
        let input = frames.collect::<Vec<_>>().concat();
        let found = answers(&job.compiled, Plain { graph: None }, 1 << 16, input);
        let [commit, state, hello, known] = &found[..] else { panic!("{found:?}") };
        for (payload, sequence) in [(commit, sequence), (state, sequence + 1)] {
            assert_eq!(answer(payload), (sequence, Response::Refused(Refusal::NotGreeted)));
        }
        assert!(matches!(answer(hello).1, Response::Hello(_)));
        assert!(matches!(answer(known).1, Response::State(_)));
    }
}

#[test]
fn any_bytes_leave_a_board_that_answers() {
    let job = &*PLAIN;
    let (bytes, batch) = first_step(job);
    let mut sequence = 1;
    let mut good = frame(1, &Request::Hello);
    good.extend(puts(&bytes, &mut sequence));
    let part = Part { step: 0, from: 0, last: true, digest: true, batch };
    good.extend(frame(sequence + 1, &Request::Train(part)));
    for seed in 0..300 {
        let mut input = Mutator::new(seed).damage(&good);
        input.extend(frame(1, &Request::Hello));
        input.extend(frame(2, &Request::State));
        let found = answers(&job.compiled, Plain { graph: None }, 1 << 16, input);
        let last = found.last().expect("an answer");
        assert!(matches!(answer(last).1, Response::State(_)), "seed {seed}");
    }
}

/// Right frames around wrong messages: damage that no checksum stops.
#[test]
fn forged_messages_and_forged_blobs_do_no_harm() {
    let job = &*PLAIN;
    let blob = job.compiled.encode().expect("bytes");
    let requests = [
        Request::Load { len: blob.len() as u32 },
        Request::SetWeights { at: 7, bytes: &[1, 2] },
        Request::Weights { at: 3, len: 99 },
        Request::Evaluate(Batch {
            count: 2,
            storage: Storage::I16,
            exponent: -3,
            targets: Wanted::Values { exponent: 2 },
            crc: 0,
        }),
    ];
    for seed in 0..200 {
        let mut mutator = Mutator::new(seed);
        let mut forged = mutator.damage(&blob);
        reseal(&mut forged);
        let mut sequence = 1;
        let mut input = frame(1, &Request::Hello);
        input.extend(puts(&forged, &mut sequence));
        input.extend(frame(sequence + 1, &Request::Load { len: forged.len() as u32 }));
        for request in &requests {
            let message = postcard::to_stdvec(&(sequence + 2, request)).expect("bytes");
            let message = mutator.damage(&message);
            input.extend(raw_frame(&message));
        }
        input.extend(frame(1, &Request::Hello));
        input.extend(frame(2, &Request::State));
        let found = answers(&job.compiled, Plain { graph: None }, 1 << 16, input);
        let last = found.last().expect("an answer");
        assert!(matches!(answer(last).1, Response::State(_)), "seed {seed}");
    }
}

/// A frame with a right checksum around any bytes.
fn raw_frame(message: &[u8]) -> Vec<u8> {
    let crc = CRC32.checksum(message).to_le_bytes();
    let plain = [message, &crc[..]].concat();
    let mut out = vec![0];
    let mut rest = &plain[..];
    // Consistent overhead byte stuffing, in its plainest form.
    loop {
        let run = rest.iter().take(254).take_while(|&&byte| byte != 0).count();
        out.push(run as u8 + 1);
        out.extend_from_slice(&rest[..run]);
        match rest.get(run) {
            None => break,
            Some(0) if run < 254 => rest = &rest[run + 1..],
            Some(_) => rest = &rest[run..],
        }
    }
    out.push(0);
    out
}

proptest! {
    #[test]
    fn random_bytes_are_no_request(bytes: Vec<u8>) {
        let mut input = bytes;
        input.extend(frame(5, &Request::State));
        let found = answers(&PLAIN.compiled, Plain { graph: None }, 1 << 16, input);
        prop_assert_eq!(found.len(), 1);
    }
}
