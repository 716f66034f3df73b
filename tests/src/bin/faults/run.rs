//! Runs a plan: injects faults, repairs them, and waits until what was recorded has arrived.

use super::judge::{Account, Facts, Killed};
use super::lives::End;
use super::plan::{Fault, Kind, Part, plan};
use super::report::{Report, say};
use super::stage::Stage;
use super::tally::SERIES;
use anyhow::{Context, ensure};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Intervals of checks: of everything, and of what has arrived.
const TICK: Duration = Duration::from_millis(20);
const LOOK: Duration = Duration::from_millis(500);

/// Maximum time to repair a fault, such as to stop a program.
const MENDS: Duration = Duration::from_secs(60);

/// Maximum time for everything to arrive at the end. A worker waits a minute after a 401.
const ARRIVES: Duration = Duration::from_secs(240);

/// The flags of a run.
#[derive(Debug, clap::Args)]
pub(crate) struct Flags {
    /// Number of faults
    #[arg(long, value_name = "N", default_value_t = 200)]
    count: usize,
    /// Seed of the plan [default: random]
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// Print the plan and exit
    #[arg(long)]
    plan: bool,
    /// Parent of the folder of this run, which is deleted on success
    #[arg(long, value_name = "DIR", default_value = "target/faults")]
    folder: PathBuf,
}

/// An active fault.
struct Active {
    fault: Fault,
    begun: Instant,
}

/// A repaired fault, and the readings recorded before its repair that have not arrived yet.
struct Recovery {
    of: (Kind, Part),
    since: Instant,
    /// By source.
    wanted: Vec<(String, [u64; SERIES.len()])>,
}

struct Run {
    stage: Stage,
    report: Report,
    account: Account,
    active: Vec<Active>,
    /// When the last fault began, and when the last one was repaired.
    changed: (Instant, Instant),
    recoveries: Vec<Recovery>,
    looked: Instant,
    interrupted: Arc<AtomicBool>,
}

/// Runs it; the exit code says whether everything is accounted for.
pub(crate) fn run(flags: &Flags) -> anyhow::Result<ExitCode> {
    let seed = flags.seed.unwrap_or_else(|| zibrato::clock::unix_ms() % 1_000_000);
    let faults = plan(seed, flags.count);
    if flags.plan {
        for (fault, number) in faults.iter().zip(1..) {
            say(format_args!("{number:>4} {fault:?}"));
        }
        return Ok(ExitCode::SUCCESS);
    }
    let interrupted = Arc::new(AtomicBool::new(false));
    for signal in
        [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM, signal_hook::consts::SIGHUP]
    {
        signal_hook::flag::register(signal, Arc::clone(&interrupted))?;
    }
    let folder = std::path::absolute(&flags.folder)?.join(format!("seed-{seed}"));
    // Files that an earlier run with this seed has left.
    drop(std::fs::remove_dir_all(&folder));
    std::fs::create_dir_all(&folder)?;
    let again = format!("tests/faults --count {} --seed {seed}", flags.count);
    say(format_args!("{} faults; the same again: {again}", flags.count));
    let account =
        Run::begin(Stage::set_up(&folder, seed)?, interrupted).and_then(|run| run.run(&faults));
    let is_well = account.as_ref().is_ok_and(|account| account.unexplained == 0);
    if is_well {
        std::fs::remove_dir_all(&folder)?;
    } else {
        say(format_args!("everything is in {}; the same again: {again}", folder.display()));
    }
    let Account { recorded, delivered, lost, repeated, unexplained, .. } = account?;
    say(format_args!(
        "recorded={recorded} delivered={delivered} lost={lost} repeated={repeated} unexplained={unexplained}"
    ));
    Ok(if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl Run {
    fn begin(stage: Stage, interrupted: Arc<AtomicBool>) -> anyhow::Result<Self> {
        let now = Instant::now();
        Ok(Self {
            stage,
            report: Report::new(),
            account: Account::default(),
            active: Vec::new(),
            changed: (now, now),
            recoveries: Vec::new(),
            looked: now,
            interrupted,
        })
    }

    fn run(mut self, faults: &[Fault]) -> anyhow::Result<Account> {
        for (fault, number) in faults.iter().zip(1..) {
            while !self.is_time_for(fault) {
                self.tick()?;
            }
            self.report.begins(fault, number);
            let trouble = self.trouble();
            self.stage.begin(fault, trouble)?;
            self.changed.0 = Instant::now();
            self.active.push(Active { fault: *fault, begun: Instant::now() });
        }
        self.wait("all faults to be repaired", MENDS, |run| run.active.is_empty())?;
        self.finish()
    }

    /// Whether it is time for a fault to begin.
    fn is_time_for(&self, fault: &Fault) -> bool {
        match &self.active[..] {
            [] => self.changed.0.max(self.changed.1).elapsed() >= fault.pause,
            [one] => {
                let overlaps = fault.overlaps && one.fault.goes_with(fault);
                overlaps && self.changed.0.elapsed() >= fault.pause
            }
            _ => false,
        }
    }

    /// Whether a fault between publishers and the journal is active.
    fn trouble(&self) -> bool {
        self.active.iter().any(|active| active.fault.delays_publishers())
    }

    fn tick(&mut self) -> anyhow::Result<()> {
        ensure!(!self.interrupted.load(Ordering::Relaxed), "interrupted");
        std::thread::park_timeout(TICK);
        let due = |active: &Active| active.begun.elapsed() >= active.fault.lasts;
        let (mended, left) = std::mem::take(&mut self.active).into_iter().partition(due);
        self.active = left;
        for active in mended {
            self.mend(active)?;
        }
        self.look_after_programs()?;
        let trouble = self.trouble();
        for life in &mut self.stage.lives {
            if let Some(problem) = life.look(trouble) {
                self.report.say(format_args!("     {problem}"));
                self.account.report(1, problem);
            }
        }
        if self.looked.elapsed() >= LOOK {
            self.looked = Instant::now();
            self.look_at_arrivals()?;
        }
        Ok(())
    }

    fn mend(&mut self, active: Active) -> anyhow::Result<()> {
        let Fault { kind, part, .. } = active.fault;
        if !self.stage.mend(&active.fault)? {
            let late = active.begun.elapsed() > MENDS;
            ensure!(!late, "{} does not end, although it was stopped", part.name());
            self.active.push(active);
            return Ok(());
        }
        self.changed.1 = Instant::now();
        let lives =
            self.stage.lives.iter().filter(|life| matches!(life.end, End::Runs | End::Leaves));
        let wanted = lives.map(|life| (life.source.clone(), life.count().done)).collect();
        self.recoveries.push(Recovery { of: (kind, part), since: Instant::now(), wanted });
        Ok(())
    }

    /// Restarts programs that ended unexpectedly, and reports them.
    fn look_after_programs(&mut self) -> anyhow::Result<()> {
        for (part, problem) in self.stage.ended()? {
            let is_stop =
                |active: &Active| active.fault.part == part && active.fault.kind == Kind::Stop;
            let was_stopped = self.active.iter().any(is_stop);
            if was_stopped && problem.contains("exit status: 0") {
                continue;
            }
            self.report.say(format_args!("     {problem}"));
            self.account.report(1, problem);
            if !was_stopped {
                self.stage.restart(part)?;
            }
        }
        Ok(())
    }

    fn look_at_arrivals(&mut self) -> anyhow::Result<()> {
        self.stage.librato.read_on()?;
        let Self { stage, recoveries, report, .. } = self;
        recoveries.retain_mut(|recovery| {
            recovery.wanted.retain(|(source, wanted)| !has_arrived(stage, source, wanted));
            if recovery.wanted.is_empty() {
                report.recovered(recovery.of, recovery.since.elapsed());
            }
            !recovery.wanted.is_empty()
        });
        Ok(())
    }

    fn wait(
        &mut self,
        what: &str,
        deadline: Duration,
        mut done: impl FnMut(&Self) -> bool,
    ) -> anyhow::Result<()> {
        let begun = Instant::now();
        while !done(self) {
            ensure!(begun.elapsed() < deadline, "timeout after {deadline:?}: {what}");
            self.tick()?;
        }
        Ok(())
    }

    /// Waits until everything has arrived, and creates the account.
    fn finish(mut self) -> anyhow::Result<Account> {
        self.report.say(format_args!("     everything is repaired; publishers are stopped"));
        for life in self.stage.lives.iter_mut().filter(|life| life.end == End::Runs) {
            life.stop()?;
        }
        let all_gone = |run: &Self| run.stage.lives.iter().all(|life| life.end != End::Leaves);
        self.wait("publishers to flush", ARRIVES, all_gone)?;
        // The last readings arrive last.
        let last = self.stage.last_life()?;
        self.wait("a last publisher", MENDS, |run| run.stage.lives[last].count().total() > 100)?;
        self.stage.lives[last].stop()?;
        self.wait("the last publisher to flush", ARRIVES, all_gone)?;
        let (source, wanted) =
            (self.stage.lives[last].source.clone(), self.stage.lives[last].count().done);
        let mut late = self
            .wait("everything to arrive", ARRIVES, |run| has_arrived(&run.stage, &source, &wanted));
        if self.interrupted.load(Ordering::Relaxed) {
            return late.map(|()| self.account);
        }
        // Recoveries that were faster than a check.
        self.look_at_arrivals()?;
        self.stage.send_letters().context("dead letters")?;
        self.stage.librato.read_on()?;
        if let Err(late) = std::mem::replace(&mut late, Ok(())) {
            self.account.report(1, late.to_string());
        }
        self.draw_up();
        self.report.table();
        self.tell();
        if let Err(why) = self.stage.strike() {
            self.account.report(1, format!("at the end, {why}"));
        }
        for panic in self.stage.panics() {
            self.account.report(1, panic);
        }
        for problem in &self.account.problems {
            say(format_args!("unexplained: {problem}"));
        }
        Ok(self.account)
    }

    fn draw_up(&mut self) {
        let stage = &self.stage;
        for life in &stage.lives {
            let (carbon, librato) = (stage.at_carbon(life), stage.librato.of(&life.source));
            let killed = match life.end {
                End::Killed { at, in_touch } => {
                    let oldest_lost = life.age(carbon.iter().sum(), at);
                    Some(Killed { in_touch, oldest_lost })
                }
                End::Leaves | End::Runs | End::Stopped => None,
            };
            let (source, count) = (&*life.source, life.count());
            self.account.add(&Facts { source, count, carbon, librato, killed });
        }
        for problem in stage.librato.problems.clone() {
            self.account.report(1, problem);
        }
        self.account.repeated = stage.librato.repeated;
        let letters = stage.librato.only_in_letters();
        if letters > 0 {
            self.account.report(1, format!("{letters} dead letters were not accepted at the end"));
        }
    }

    fn tell(&self) {
        let account = &self.account;
        for (how, (most, age)) in [
            ("with a connection to the broker", account.most_in_touch),
            ("without a connection", account.most_out_of_touch),
        ] {
            let age = age.as_secs_f64();
            say(format_args!(
                "a publisher killed {how} lost {most} readings at most, the oldest {age:.2} s old"
            ));
        }
    }
}

/// Whether all of that has arrived at both backends, or its publisher was killed since.
fn has_arrived(stage: &Stage, source: &str, wanted: &[u64; SERIES.len()]) -> bool {
    let Some(life) = stage.lives.iter().find(|life| life.source == source) else { return true };
    let enough = |arrived: [u64; SERIES.len()]| arrived.iter().zip(wanted).all(|(a, w)| a >= w);
    matches!(life.end, End::Killed { .. })
        || (enough(stage.librato.of(source)) && enough(stage.at_carbon(life)))
}
