//! The link from end to end: a board at the end of a bad line does what the simulator does.

use std::{
    net::{TcpListener, TcpStream},
    time::Duration,
};

use fixgrad::{
    kernel::{Kernel, Scalar},
    link::{Batch, MIN_FRAME, Part, Request, Storage, Wanted, schema},
    tensor::Matrix,
};
use fixgrad_host::{
    config::Compiled,
    kernel::best,
    link::{Client, Cut, OnBoard, Patience, StandIn, Watching, difference, verify},
    run::{Batch as Samples, Session, Stepper, Workspace},
};
use fixgrad_tests::{
    faulty::Faulty,
    line::{self, PATIENCE, PLAIN, frame, job, job_of, stand_in, stand_in_with},
};

const BOARD: StandIn<'static> =
    StandIn { data: None, fixed: false, arena: 1 << 16, store: 4096, frame: 512 };

fn connect(compiled: &Compiled, board: StandIn<'static>) -> Client<TcpStream> {
    Client::connect(stand_in(compiled, board), PATIENCE).expect("a board")
}

#[test]
fn every_step_leaves_the_bits_of_the_simulator() {
    let jobs = [
        job(8, "batch: 16, momentum: 0.5", ""),
        // Parts of a step, whole and odd samples in a store for one of them.
        job(5, "batch: 12, micro_batch: 3", "master: { bits: 8 }"),
        job(6, "batch: 9, schedule: cosine", "weight: { per_channel: true }"),
        job(6, "batch: 16, momentum: 0.9", "activation: { range: { moving: { window: 4 } } }"),
    ];
    for (job, (store, frame)) in
        jobs.iter().zip([(4096, 512), (201, MIN_FRAME), (1 << 16, 1 << 12), (2048, 333)])
    {
        // The board begins with another network than it is sent.
        let mut client =
            connect(&PLAIN.compiled, StandIn { store: store.max(1024), frame, ..BOARD });
        let kernel = best(1).expect("a kernel");
        let mut workspace = Workspace::new(&job.compiled).expect("memory");
        let mut session =
            Session::new(&job.compiled, &job.data, &kernel, &mut workspace).expect("a session");
        let verdict = verify(&mut client, &mut session, 40, |_| ()).expect("a verdict");
        assert_eq!((verdict.steps, verdict.difference), (40, None));
        let model = client.pull(&job.compiled).expect("a model");
        assert_eq!(model, session.model());

        // Evaluations agree, and leave no trace.
        let mut batch = Samples::new(&job.data);
        batch.fill(0..100);
        let data = (batch.samples(), batch.targets());
        let ours = client.evaluate(data, Cut::of(&job.compiled)).expect("a tally");
        let mut theirs =
            Session::new(&job.compiled, &job.data, &kernel, &mut workspace).expect("a session");
        theirs.restore(&model).expect("a state");
        let whole = theirs.validate().expect("a tally");
        assert!(whole.is_some() && ours.samples == 100);
        assert_eq!(client.pull(&job.compiled).expect("a model"), model);
    }
}

#[test]
fn a_run_on_a_board_is_a_run_on_the_desktop_whatever_the_line_does() {
    let job = &*PLAIN;
    let kernel = best(1).expect("a kernel");
    let mut workspace = Workspace::new(&job.compiled).expect("memory");
    let mut session =
        Session::new(&job.compiled, &job.data, &kernel, &mut workspace).expect("a session");
    let theirs = session.epoch(|_| ()).expect("an epoch");
    let expected = session.model();
    let states: Vec<_> = session.states();

    for (seed, one_in) in [(0, 0), (1, 3000), (2, 1000), (3, 400), (4, 400)] {
        let stream = Faulty::new(stand_in(&job.compiled, BOARD), seed, one_in);
        let client = match Client::connect(stream, PATIENCE) {
            Ok(client) => client,
            Err(error) => panic!("seed {seed}: {error}"),
        };
        let mut board = OnBoard::new(client);
        let mut workspace = Workspace::new(&job.compiled).expect("memory");
        let mut session =
            Session::new(&job.compiled, &job.data, &kernel, &mut workspace).expect("a session");
        board.begin(&session).expect("a board that takes the configuration");
        let ours = board.epoch(&mut session, &mut |_| ()).expect("an epoch");
        assert_eq!((ours.tally, ours.lr), (theirs.tally, theirs.lr), "seed {seed}");
        assert_eq!(session.model(), expected, "seed {seed}");
        for (ours, theirs) in board.states(&session).iter().zip(&states) {
            for tensor in fixgrad::trainer::Tensor::ALL {
                assert_eq!(ours.range(tensor), theirs.range(tensor), "seed {seed}");
            }
        }
        let line = board.into_client().state().expect("a state").line;
        let hit = line.damaged + line.repeated + line.oversized + line.stale;
        assert_eq!(hit > 0, one_in > 0, "seed {seed}: {line:?}");
    }
}

#[test]
fn a_board_goes_on_where_the_desktop_stopped() {
    let job = job_of(2, 8, "batch: 16, momentum: 0.5", "master: { bits: 8 }");
    let kernel = best(1).expect("a kernel");
    let mut workspaces = [(); 2].map(|()| Workspace::new(&job.compiled).expect("memory"));
    let [mut ours, mut theirs] = workspaces.each_mut().map(|workspace| {
        Session::new(&job.compiled, &job.data, &kernel, workspace).expect("a session")
    });
    for session in [&mut ours, &mut theirs] {
        session.epoch(|_| ()).expect("an epoch");
    }
    let mut board = OnBoard::new(connect(&PLAIN.compiled, BOARD));
    board.begin(&ours).expect("a board that takes the state");
    board.epoch(&mut ours, &mut |_| ()).expect("an epoch");
    theirs.epoch(|_| ()).expect("an epoch");
    assert_eq!(ours.model(), theirs.model());
}

#[test]
fn a_board_that_trains_alone_is_watched_to_the_end_of_its_run() {
    let job = &*PLAIN;
    let mut client = connect(&job.compiled, StandIn { data: Some(&PLAIN.data), ..BOARD });
    client.tell(&Request::Start).expect("a start");
    let mut looks = 0;
    let mut board = Watching::new(client, Duration::from_millis(1), |client| {
        looks += 1;
        Ok(client.state()?)
    });
    let kernel = best(1).expect("a kernel");
    let mut workspace = Workspace::new(&job.compiled).expect("memory");
    let mut session =
        Session::new(&job.compiled, &job.data, &kernel, &mut workspace).expect("a session");
    board.begin(&session).expect("the same network");
    let steps = session.steps();
    let outcome = board.epoch(&mut session, &mut |_| ()).expect("an epoch");
    let done = session.model().step;
    assert!(done >= steps && session.epochs_done() >= session.epochs());
    assert!((1..=done * 16).contains(&outcome.tally.samples));
    let mut workspace = Workspace::new(&job.compiled).expect("memory");
    let fresh =
        Session::new(&job.compiled, &job.data, &kernel, &mut workspace).expect("a session").model();
    assert!(session.model().parameters != fresh.parameters);

    let other = job_of(1, 9, "batch: 16, momentum: 0.5", "");
    let error = board.check(&other.compiled).expect_err("another network").to_string();
    assert!(error.contains("another network"), "{error}");
    assert!(looks > 0);
}

#[test]
fn a_dead_line_ends_with_a_sentence() {
    let patience = Patience { total: Duration::from_millis(200), ..PATIENCE };
    // Connected, and nobody reads.
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let stream = TcpStream::connect(listener.local_addr().expect("an address")).expect("a line");
    stream.set_read_timeout(Some(Duration::from_millis(5))).expect("an option");
    let error = Client::connect(stream, patience).err().expect("no answer").to_string();
    assert!(error.contains("no answer in") && error.contains("baud rate"), "{error}");
}

#[test]
fn wrong_blobs_are_refused_in_words_and_training_goes_on() {
    let job = &*PLAIN;
    let good = job.compiled.encode().expect("bytes");
    let sealed = |change: fn(&mut Vec<u8>)| {
        let mut bytes = good.clone();
        change(&mut bytes);
        let end = bytes.len() - 4;
        let crc = fixgrad::config::CRC32.checksum(&bytes[..end]);
        bytes[end..].copy_from_slice(&crc.to_le_bytes());
        bytes
    };
    let mut damaged = good.clone();
    damaged[40] ^= 1;
    let large = line::job(200, "batch: 16", "").compiled.encode().expect("bytes");
    let other = line::job(9, "batch: 16", "").compiled.encode().expect("bytes");
    let cases = [
        (sealed(|b| b[4] = 9), "format version 9; this release reads version 6"),
        (damaged, "the checksum is wrong"),
        (other, "made for graph"),
        (large, "made for graph"),
        (sealed(|b| b[3] = b'M'), "another kind of file"),
        (good[..good.len() - 1].to_vec(), "cut short"),
        (sealed(|b| b[20] ^= 0x40), "the content is not"),
    ];
    let mut client = connect(&job.compiled, StandIn { fixed: true, ..BOARD });
    let kernel = best(1).expect("a kernel");
    let mut workspace = Workspace::new(&job.compiled).expect("memory");
    let mut session =
        Session::new(&job.compiled, &job.data, &kernel, &mut workspace).expect("a session");
    session.epoch(|_| ()).expect("an epoch");
    let trained = session.model();
    client.push(&trained).expect("a state");
    for (blob, words) in &cases {
        let error = client.load(blob).expect_err(words).to_string();
        assert!(error.contains(words) && error.starts_with("the board refused"), "{error}");
        assert_eq!(client.pull(&job.compiled).expect("a model"), trained, "{words}");
    }

    // A board for any network, with an arena for the first one only.
    let needed = job.compiled.plan().expect("a plan").ram();
    let mut client = connect(&job.compiled, StandIn { arena: needed, ..BOARD });
    client.push(&trained).expect("a state");
    let error = client.load(&cases[3].0).expect_err("too large").to_string();
    assert!(error.contains("the plan needs ") && error.contains("bytes, the arena has"), "{error}");
    // Nothing is stored on a board that takes any network.
    let stored = line::job(8, "batch: 16", "update: bias, stored: true").compiled;
    let error = client.load(&stored.encode().expect("bytes")).expect_err("stored").to_string();
    assert!(
        error.contains("layer fc1 reads its parameters where they are stored, and none were"),
        "{error}"
    );
    assert_eq!(client.pull(&job.compiled).expect("a model"), trained);
    let mut batch = Samples::new(&job.data);
    batch.fill(0..16);
    let data = (batch.samples(), batch.targets());
    let cut = Cut::of(&job.compiled);
    let (record, _) = client.step(trained.step, data, cut, false).expect("a step");
    assert_eq!(record.step, trained.step + 1);
}

#[test]
fn a_difference_is_named_by_layer_tensor_and_element() {
    let job = &*PLAIN;
    let kernel = best(1).expect("a kernel");
    let mut workspace = Workspace::new(&job.compiled).expect("memory");
    let mut session =
        Session::new(&job.compiled, &job.data, &kernel, &mut workspace).expect("a session");
    session.epoch(|_| ()).expect("an epoch");
    let ours = session.model();
    let plan = job.compiled.plan().expect("a plan");
    assert_eq!(difference(&ours, &ours, plan.layers()), None);
    let mut theirs = ours.clone();
    let weight = plan.layers()[3].weight.master;
    assert_eq!(weight.width().bytes(), 2);
    // Unit 4, input 5 of 8.
    theirs.parameters[weight.offset() as usize + 2 * (4 * 8 + 5)] ^= 1;
    let text = difference(&ours, &theirs, plan.layers()).expect("a difference");
    assert!(text.starts_with("layer fc2, weight[4, 5]: "), "{text}");
}

/// A kernel that writes one wrong sum in products of this shape.
#[derive(Clone, Copy)]
struct Wrong(usize, usize);

impl Kernel for Wrong {
    fn gemm(&self, a: Matrix<'_>, b: Matrix<'_>, drop: u32, add: bool, out: &mut [i32]) {
        Scalar.gemm(a, b, drop, add, out);
        if (a.rows, b.cols) == (self.0, self.1) {
            out[0] += 1 << 12;
        }
    }
}

#[test]
fn verify_stops_at_the_first_step_that_differs() {
    let job = &*PLAIN;
    // The weight gradient of fc2: 10 units by 8 inputs.
    let stream = stand_in_with(&job.compiled, BOARD, Wrong(10, 8));
    let mut client = Client::connect(stream, PATIENCE).expect("a board");
    let kernel = best(1).expect("a kernel");
    let mut workspace = Workspace::new(&job.compiled).expect("memory");
    let mut session =
        Session::new(&job.compiled, &job.data, &kernel, &mut workspace).expect("a session");
    let verdict = verify(&mut client, &mut session, 40, |_| ()).expect("a verdict");
    let difference = verdict.difference.expect("a difference");
    assert_eq!(verdict.steps, 1);
    assert!(difference.starts_with("layer fc2, weight[0, 0]: "), "{difference}");
}

#[test]
fn the_document_shows_what_is_sent() {
    let page = include_str!("../docs/link.md");
    let hex =
        |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ");
    let batch = Batch {
        count: 2,
        storage: Storage::U8,
        exponent: -8,
        targets: Wanted::Classes,
        crc: 0x1234_5678,
    };
    let part = Part { step: 300, from: 0, last: true, digest: false, batch };
    let examples = [
        frame(1, &Request::Hello),
        frame(2, &Request::Put { at: 256, bytes: &[1, 0, 2] }),
        frame(3, &Request::Train(part)),
    ];
    let mut missing: Vec<String> = examples.iter().map(|bytes| hex(bytes)).collect();
    missing.push(format!("{:016x}", u64::from_be_bytes(schema())));
    missing.retain(|text| !page.contains(text.as_str()));
    assert!(missing.is_empty(), "docs/link.md lacks {missing:#?}");
}
