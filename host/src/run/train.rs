//! A run from its first step, or from its checkpoint, to its report.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use fixgrad::{kernel::Kernel, optim::Lr};
use tracing::{debug, info};

use super::{
    folder::{Origin, RunFolder},
    footprint::Footprint,
    job::{Job, Overrides},
    judge::{judge, means},
    log::{LogWriter, TornTail, read_log},
    model::Model,
    progress::Progress,
    record::{End, Epoch, Record, Start},
    session::{EpochOutcome, Session, Workspace},
    stats,
    stepper::{OnDesktop, Stepper},
    summary::Summary,
};
use crate::{
    config::{Compiled, Experiment},
    data::SearchPath,
    files, kernel,
    report::{self, ReportInput},
};

/// The report of a run that goes on is made again no more often than this.
const REPORT_PAUSE: Duration = Duration::from_secs(10);
/// Checkpoints are no closer than this: on a disk one takes longer than a short epoch, and what
/// is lost with a run that is cut off is less than this.
const CHECKPOINT_PAUSE: Duration = Duration::from_millis(250);

/// Trains from the first step on.
pub fn train(job: &Job, folder: &RunFolder, origin: &Origin, threads: usize) -> Result<Summary> {
    train_with(job, folder, origin, threads, &mut OnDesktop)
}

/// As [`train`], with somebody else who does the steps.
pub fn train_with(
    job: &Job,
    folder: &RunFolder,
    origin: &Origin,
    threads: usize,
    stepper: &mut (impl Stepper + Send),
) -> Result<Summary> {
    files::replace(&folder.config(), job.compiled.to_yaml()?.as_bytes())?;
    folder.keep_origin(origin)?;
    Run { job, folder, threads }.go(None, stepper)
}

/// Goes on with a run that was cut off. `file`, if given, must say what is being trained. A run
/// that is finished is left alone.
pub fn resume(
    folder: &RunFolder,
    file: Option<&Path>,
    data: Option<&Path>,
    overrides: Overrides,
    threads: usize,
) -> Result<Summary> {
    resume_with(folder, file, data, overrides, threads, &mut OnDesktop)
}

/// As [`resume`], with somebody else who does the steps from here on.
pub fn resume_with(
    folder: &RunFolder,
    file: Option<&Path>,
    data: Option<&Path>,
    overrides: Overrides,
    threads: usize,
    stepper: &mut (impl Stepper + Send),
) -> Result<Summary> {
    let records = read_log(&folder.metrics(), TornTail::Drop)?;
    let job = job_of(folder, data)?;
    if file.is_none() && overrides != Overrides::default() {
        bail!("--seed and --epochs are settled when a run begins: leave them out with --resume");
    }
    if let Some(file) = file {
        let seed = overrides.seed.unwrap_or(job.compiled.config.train.seed);
        let wanted = Job::read(file, data, Overrides { seed: Some(seed), ..overrides })?;
        let mut wanted = wanted.compiled;
        wanted.host.name.clone_from(&job.compiled.host.name);
        same(&job.compiled, &wanted, &folder.config(), &file.display().to_string())?;
    }
    let path = folder.checkpoint();
    let model = if path.exists() {
        let model = Model::read(&path)?;
        same(&model.compiled, &job.compiled, &path, &folder.config().display().to_string())?;
        Some(model)
    } else {
        None
    };
    if let Some(Record::End(_)) = records.last() {
        info!("{} is finished already", folder.path().display());
        return Summary::new(folder, &records);
    }
    Run { job: &job, folder, threads }.go(model.map(|model| (model, records)), stepper)
}

/// The configuration of a run folder, with its data.
fn job_of(folder: &RunFolder, data: Option<&Path>) -> Result<Job> {
    let origin = folder.origin()?;
    let data = data.or(origin.data.as_deref());
    let places = SearchPath::from_env(data, origin.config.as_deref());
    let job = Job::new(Experiment::read(&folder.config())?, &places, Overrides::default())?;
    // Whoever was cut off before the first checkpoint begins again.
    let begun = folder.checkpoint().exists();
    let init = origin.init.filter(|_| !begun).as_deref().map(Model::read).transpose()?;
    Ok(Job { init, ..job })
}

/// Refuses two configurations that differ, with the first line that does.
fn same(ours: &Compiled, theirs: &Compiled, path: &Path, other: &str) -> Result<()> {
    if ours == theirs {
        return Ok(());
    }
    let (ours, theirs) = (ours.to_yaml()?, theirs.to_yaml()?);
    let lines = ours.lines().zip(theirs.lines());
    let first = lines.map(|(a, b)| (a.trim(), b.trim())).find(|(a, b)| a != b);
    let (a, b) = first.unwrap_or(("more", "less"));
    bail!(
        "{}: made for another configuration than {other}: `{a}` here and `{b}` there. Train \
         again, or continue with the configuration that it was made for",
        path.display()
    )
}

struct Run<'r> {
    job: &'r Job,
    folder: &'r RunFolder,
    threads: usize,
}

impl Run<'_> {
    fn go(
        &self,
        from: Option<(Model, Vec<Record>)>,
        stepper: &mut (impl Stepper + Send),
    ) -> Result<Summary> {
        let kernel = kernel::best(self.threads)?;
        debug!("kernel {}, {} threads", kernel.inner(), kernel.threads());
        kernel.enter(|| self.work(&kernel, from, stepper))
    }

    fn work(
        &self,
        kernel: impl Kernel + Copy + Send,
        from: Option<(Model, Vec<Record>)>,
        stepper: &mut impl Stepper,
    ) -> Result<Summary> {
        let Job { compiled, data, .. } = self.job;
        let footprint = Footprint::of(compiled)?;
        let mut workspace = Workspace::new(compiled)?;
        let mut session = Session::new(compiled, data, kernel, &mut workspace)?;
        let mut records = vec![Record::Start(self.start(&footprint, session.epochs()))];
        if let Some((model, kept)) = from {
            session
                .restore(&model)
                .with_context(|| self.folder.checkpoint().display().to_string())?;
            records.extend(self.kept_epochs(kept, session.epochs_done())?);
            info!("{}: goes on after epoch {}", self.name(), session.epochs_done());
        } else if let Some(model) = &self.job.init {
            let taken = session.begin_from(model)?;
            info!("{}: begins with {} of {}", self.name(), taken.join(", "), model.name());
        }
        stepper.begin(&session)?;
        let mut log = LogWriter::create(&self.folder.metrics(), &records)
            .with_context(|| format!("{} cannot be written", self.folder.metrics().display()))?;
        session.model().write(&self.folder.checkpoint())?;
        debug!("the arena holds {} bytes on this machine", session.trainer.plan().ram());

        let mut progress = Progress::new(session.steps().into(), "steps");
        let (mut reported, mut saved) = (Instant::now(), Instant::now());
        while session.epochs_done() < session.epochs() {
            let before = u64::from(session.trainer.steps());
            let outcome =
                stepper.epoch(&mut session, &mut |step| progress.at(before + u64::from(step)))?;
            let epoch = epoch_record(&mut session, outcome, stepper)?;
            let last = session.epochs_done() >= session.epochs();
            progress.tell(last, || line(&epoch, session.epochs()));
            let record = Record::Epoch(epoch);
            log.push(&record).with_context(|| self.cannot_log())?;
            records.push(record);
            if last || saved.elapsed() > CHECKPOINT_PAUSE {
                session.model().write(&self.folder.checkpoint())?;
                saved = Instant::now();
            }
            if !last && reported.elapsed() > REPORT_PAUSE {
                self.report(&records, &footprint)?;
                reported = Instant::now();
            }
        }
        progress.finish();

        let model = session.model();
        model.write(&self.folder.model())?;
        let test = Record::Test(judge(&mut session)?);
        let end = Record::End(end(&records, compiled, model.sha256()));
        for record in [test, end] {
            log.push(&record).with_context(|| self.cannot_log())?;
            records.push(record);
        }
        self.report(&records, &footprint)?;
        Summary::new(self.folder, &records)
    }

    fn name(&self) -> std::path::Display<'_> {
        self.folder.path().display()
    }

    fn cannot_log(&self) -> String {
        format!("{} cannot be written", self.folder.metrics().display())
    }

    fn start(&self, footprint: &Footprint, epochs: u32) -> Start {
        let Job { compiled, data, .. } = self.job;
        Start {
            config: compiled.host.name.clone(),
            seed: compiled.config.train.seed,
            dataset: data.name.clone(),
            train: data.split.train.len(),
            validation: data.split.validation.len(),
            test: data.split.test.len(),
            batch: compiled.config.train.batch.into(),
            epochs,
            parameters: compiled.graph.view().parameters(),
            ram_bytes: footprint.ram_bytes,
            flash_bytes: footprint.flash_bytes,
        }
    }

    /// The epochs that the checkpoint knows; what was logged after it is done again.
    fn kept_epochs(&self, kept: Vec<Record>, done: u32) -> Result<Vec<Record>> {
        let known = |record: &Record| matches!(record, Record::Epoch(e) if e.epoch <= done);
        let kept: Vec<Record> = kept.into_iter().filter(known).collect();
        if kept.len() != done as usize {
            bail!(
                "{}: expected {done} epochs, as the checkpoint has them, found {}: the log or the \
                 checkpoint is of another run. Train again",
                self.folder.metrics().display(),
                kept.len()
            );
        }
        Ok(kept)
    }

    fn report(&self, records: &[Record], footprint: &Footprint) -> Result<()> {
        let html = report::render(&ReportInput {
            records,
            resolved_yaml: &self.job.compiled.to_yaml()?,
            memory: &footprint.memory,
            phases: &footprint.phases,
            flash: &footprint.flash,
            title: &self.job.compiled.host.name,
        });
        files::replace(&self.folder.report(), html.as_bytes())
    }
}

fn epoch_record<K: Kernel + Copy + Send>(
    session: &mut Session<'_, K>,
    outcome: EpochOutcome,
    stepper: &impl Stepper,
) -> Result<Epoch> {
    let answers = session.answers();
    let (train_loss, train_accuracy) = means(outcome.tally, answers);
    let validation = session.validate()?.map(|tally| means(tally, answers));
    let (validation_loss, validation_accuracy) = validation.unwrap_or((f64::NAN, f64::NAN));
    let seen = session.observe()?;
    let seconds = outcome.time.as_secs_f64();
    let trainer = &session.trainer;
    let (graph, config) = (session.compiled.graph.view(), &session.compiled.config);
    Ok(Epoch {
        epoch: session.epochs_done(),
        step: trainer.steps().into(),
        lr: rate(outcome.lr),
        train_loss,
        train_accuracy,
        validation_loss,
        validation_accuracy,
        seconds,
        samples_per_second: f64::from(outcome.tally.samples) / seconds,
        tensors: stats::tensors(
            graph,
            config,
            trainer.plan().layers(),
            &stepper.states(session),
            &seen,
        ),
    })
}

fn rate(lr: Lr) -> f64 {
    f64::from(lr.mantissa) * f64::from(lr.exponent).exp2()
}

fn line(epoch: &Epoch, epochs: u32) -> String {
    let of = |loss: f64, accuracy: f64| match (loss.is_finite(), accuracy.is_finite()) {
        (true, true) => format!("{:.2} % (loss {loss:.4})", accuracy * 100.0),
        (true, false) => format!("loss {loss:.4}"),
        _ => "–".to_owned(),
    };
    format!(
        "epoch {}/{epochs}: training {}, validation {}",
        epoch.epoch,
        of(epoch.train_loss, epoch.train_accuracy),
        of(epoch.validation_loss, epoch.validation_accuracy)
    )
}

fn end(records: &[Record], compiled: &Compiled, weights_sha256: String) -> End {
    let epochs = records.iter().filter_map(|record| match record {
        Record::Epoch(epoch) => Some(epoch),
        _ => None,
    });
    let (mut seconds, mut steps) = (0.0, 0);
    for epoch in epochs {
        seconds += epoch.seconds;
        steps = epoch.step;
    }
    let samples = steps as f64 * f64::from(compiled.config.train.batch);
    End { train_seconds: seconds, samples_per_second: samples / seconds, weights_sha256 }
}
