//! All programs of a run: broker, workers, backends, publishers, and the proxies between them.

use super::books::{Arrived, LibratoBooks, carbon};
use super::disk::Disk;
use super::lives::{End, Life, Publisher};
use super::plan::{Fault, Kind, Part};
use super::process::{Allowed, Process};
use super::proxy::{Mode, Proxy};
use anyhow::{Context, ensure};
use rustix::io::Errno;
use rustix::process::Signal;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use zibrato_tests::fake::FakeLibrato;
use zibrato_tests::{Carbon, FailingDisk, Ports, program};

/// The paths of the library in Debian.
const FAKETIME: [&str; 2] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
];

/// In the order of `Stage::publishers`.
const PUBLISHERS: [Part; 2] = [Part::PublisherA, Part::PublisherB];

/// The programs whose clocks can be wrong.
const CLOCKS: [(Part, Part); 3] = [
    (Part::Broker, Part::BrokerClock),
    (Part::CarbonWorker, Part::CarbonWorkerClock),
    (Part::LibratoWorker, Part::LibratoWorkerClock),
];

/// Maximum time for everything to start.
const COMES_UP: Duration = Duration::from_secs(30);

/// The programs. Those that must be dropped first come first.
#[derive(Debug)]
pub(crate) struct Stage {
    folder: PathBuf,
    pub(crate) lives: Vec<Life>,
    publishers: [Publisher; 2],
    programs: BTreeMap<Part, Process>,
    links: BTreeMap<Part, Proxy>,
    disk: Disk,
    /// The disk of dead letters.
    letters: FailingDisk,
    ports: [Ports; 3],
    pub(crate) librato: LibratoBooks,
}

impl Stage {
    /// Starts everything, and waits until the workers have a cursor in the journal.
    pub(crate) fn set_up(folder: &Path, seed: u64) -> anyhow::Result<Self> {
        let ports = [Ports::take(), Ports::take(), Ports::take()];
        let [broker, backends, links] = &ports;
        fs::create_dir_all(folder.join("carbon"))?;
        let disk = Disk::mount(folder)?;
        Carbon::configure(&folder.join("carbon"), backends, "1s:6h");
        let route = |part: Part, pairs: &[(u16, u16)]| {
            Proxy::start(part.name(), pairs).map(|proxy| (part, proxy))
        };
        let feed = |at| [(links.at(at), broker.at(1)), (links.at(at + 1), broker.at(2))];
        let proxies = [
            route(Part::Intake, &[(links.at(0), broker.at(0)), (links.at(1), broker.at(1))])?,
            route(Part::CarbonFeed, &feed(2))?,
            route(Part::LibratoFeed, &feed(4))?,
            route(Part::ToCarbon, &[(links.at(6), backends.at(0))])?,
            route(Part::ToLibrato, &[(links.at(7), backends.at(3))])?,
        ];
        let publishers = ["a", "b"].map(|name| Publisher::new(name, (links.at(0), links.at(1))));
        let mut stage = Self {
            folder: folder.to_owned(),
            lives: Vec::new(),
            publishers,
            programs: BTreeMap::new(),
            links: proxies.into(),
            disk,
            letters: FailingDisk::new(&folder.join("letters")),
            librato: LibratoBooks::new(folder.join("librato.taken"), folder.join("letters")),
            ports,
        };
        stage.add_programs(seed)?;
        for program in stage.programs.values_mut() {
            program.start()?;
        }
        stage.wait_for(&[Part::CarbonWorker, Part::LibratoWorker], "broker_connected")?;
        for at in 0..stage.publishers.len() {
            let life = stage.publishers[at].begin(folder)?;
            stage.lives.push(life);
        }
        Ok(stage)
    }

    fn add_programs(&mut self, seed: u64) -> anyhow::Result<()> {
        let [broker, backends, links] = &self.ports;
        let folder = self.folder.clone();
        let text = |path: &str| folder.join(path).display().to_string();
        let mut commands = Vec::new();
        let mut command = Command::new(program("zibrato-broker"));
        command.args(["--port", &broker.at(0).to_string()]);
        command.args(["--http", &format!("127.0.0.1:{}", broker.at(4))]);
        command.arg("--journal").arg(self.disk.journal());
        // With one seed, the broker stops accepting before the disk is full; with the next, the
        // disk returns the error.
        command.args(["--journal-min-free", if seed.is_multiple_of(2) { "5" } else { "0" }]);
        commands.push((Part::Broker, command));
        for (part, at) in [(Part::CarbonWorker, 2), (Part::LibratoWorker, 4)] {
            let mut command = Command::new(program(part.name()));
            command.args(["--port", &links.at(at).to_string(), "--levels", "info,warn"]);
            command.args(["--flush", "1", "--timeout", "3"]);
            command.args(["--http", &format!("127.0.0.1:{}", links.at(at + 6))]);
            if part == Part::CarbonWorker {
                command.args(["--carbon", &format!("127.0.0.1:{}", links.at(6))]);
            } else {
                command.args(librato_flags(links.at(7), &text("letters")));
            }
            commands.push((part, command));
        }
        commands.push((Part::Carbon, Carbon::command(&folder.join("carbon"))));
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["librato", "--port", &backends.at(3).to_string()]);
        command.args(["--taken", &text("librato.taken"), "--answer", &text("librato.answer")]);
        commands.push((Part::Librato, command));
        let faketime = FAKETIME.iter().find(|path| Path::new(path).is_file());
        let faketime = faketime.context("no libfaketime; `apt-get install libfaketime`")?;
        for (part, mut command) in commands {
            let clock = CLOCKS.iter().find(|(whose, _)| *whose == part).map(|(_, clock)| *clock);
            if let Some(clock) = clock {
                self.set_clock(clock, "+0")?;
                command.env("LD_PRELOAD", faketime).env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
                command.env("FAKETIME_TIMESTAMP_FILE", self.clock(clock));
                command.env("FAKETIME_CACHE_DURATION", "1").env("NO_FAKE_STAT", "1");
            }
            let mut log = folder.as_path();
            match part {
                // Its log shares the disk with its journal.
                Part::Broker => {
                    self.disk.hold(&mut command);
                    log = self.disk.folder();
                }
                Part::LibratoWorker => self.letters.hold(&mut command),
                _ => {}
            }
            let process = Process::new(part.name(), log, &command);
            self.programs.insert(part, process);
        }
        Ok(())
    }

    fn wait_for(&self, parts: &[Part], word: &str) -> anyhow::Result<()> {
        let begun = Instant::now();
        for part in parts {
            while !self.programs[part].log().contains(word) {
                let words = self.programs[part].last_words();
                ensure!(begun.elapsed() < COMES_UP, "{} does not come up: {words}", part.name());
                std::thread::park_timeout(Duration::from_millis(20));
            }
        }
        Ok(())
    }

    /// Injects a fault. `trouble` says whether a fault between publishers and the journal is
    /// active.
    pub(crate) fn begin(&mut self, fault: &Fault, trouble: bool) -> anyhow::Result<()> {
        let Fault { kind, part, number, .. } = *fault;
        match kind {
            Kind::Kill => match self.publisher(part) {
                Some(at) => self.live(at)?.kill(trouble)?,
                None => self.program(part)?.kill()?,
            },
            Kind::Stop => match self.publisher(part) {
                Some(at) => self.live(at)?.stop()?,
                None => self.program(part)?.signal(Signal::TERM)?,
            },
            Kind::Answer400 => self.answer("400")?,
            Kind::AnswerOne => self.answer("one")?,
            Kind::NoLetters => {
                self.letters.fail(Errno::ROFS);
                self.answer("400")?;
            }
            Kind::Answer401 => self.answer("401")?,
            Kind::Answer429 => self.answer("429")?,
            Kind::Answer500 => self.answer("500")?,
            Kind::Hang if part == Part::Librato => self.answer("hang")?,
            Kind::Hang => self.program(part)?.signal(Signal::STOP)?,
            // About after the head of a request.
            Kind::CutBody if part == Part::ToLibrato => {
                self.link(part)?.set(Mode::CutUp(300 + number))
            }
            Kind::CutBody => self.link(part)?.set(Mode::CutUp(1 + number)),
            Kind::CutAnswer => self.link(part)?.set(Mode::CutDown(number % 60)),
            Kind::Stall => self.link(part)?.set(Mode::Stalled),
            Kind::Reset => self.link(part)?.reset(),
            Kind::HalfOpen if number.is_multiple_of(2) => self.link(part)?.set(Mode::ClientGone),
            Kind::HalfOpen => self.link(part)?.set(Mode::ServerGone),
            Kind::DiskFull => self.disk.fill()?,
            Kind::DiskFails => self.disk.fail(Errno::IO),
            Kind::ReadOnly => self.disk.fail(Errno::ROFS),
            Kind::Moved => self.disk.move_away()?,
            Kind::Unmounted => self.disk.detach()?,
            Kind::Descriptors => match self.publisher(part) {
                Some(at) => self.live(at)?.process().allow_descriptors(Allowed::Few)?,
                None => {
                    let program = self.program(part)?;
                    program.wait_for_start()?;
                    program.allow_descriptors(Allowed::Few)?;
                }
            },
            Kind::ClockForward => self.set_clock(part, "+3600")?,
            Kind::ClockBack => self.set_clock(part, "-3600")?,
        }
        Ok(())
    }

    /// Repairs it; `false` if that is not possible yet.
    pub(crate) fn mend(&mut self, fault: &Fault) -> anyhow::Result<bool> {
        let part = fault.part;
        match fault.kind {
            Kind::Kill | Kind::Stop => {
                if let Some(at) = self.publisher(part) {
                    let life = self.publishers[at].begin(&self.folder)?;
                    self.lives.push(life);
                } else if self.program(part)?.runs() {
                    return Ok(false);
                } else {
                    self.restart(part)?;
                }
            }
            Kind::Hang if part == Part::Carbon => self.program(part)?.signal(Signal::CONT)?,
            Kind::NoLetters => {
                self.answer("")?;
                self.letters.mend();
            }
            Kind::Answer400
            | Kind::Answer401
            | Kind::Answer429
            | Kind::Answer500
            | Kind::AnswerOne
            | Kind::Hang => self.answer("")?,
            Kind::Reset => self.link(part)?.reset(),
            Kind::CutBody | Kind::CutAnswer | Kind::Stall | Kind::HalfOpen => {
                self.link(part)?.set(Mode::Pass);
            }
            Kind::DiskFull => self.disk.free()?,
            Kind::DiskFails | Kind::ReadOnly => self.disk.mend(),
            Kind::Moved => self.disk.move_back()?,
            Kind::Unmounted => self.disk.attach()?,
            // A program that was killed meanwhile has its full limit when it is started again.
            Kind::Descriptors => match self.publisher(part) {
                Some(at) => {
                    if let Ok(life) = self.live(at) {
                        life.process().allow_descriptors(Allowed::All)?;
                    }
                }
                None if self.program(part)?.runs() => {
                    self.program(part)?.allow_descriptors(Allowed::All)?;
                }
                None => {}
            },
            Kind::ClockForward | Kind::ClockBack => self.set_clock(part, "+0")?,
        }
        Ok(true)
    }

    /// Starts a program again.
    pub(crate) fn restart(&mut self, part: Part) -> anyhow::Result<()> {
        if part == Part::Carbon {
            // A killed program leaves its file behind, and its process id may be reused by now.
            drop(fs::remove_file(self.folder.join("carbon/pid")));
        }
        self.program(part)?.start()
    }

    /// The programs that have ended, with their last output.
    pub(crate) fn ended(&mut self) -> anyhow::Result<Vec<(Part, String)>> {
        let mut ended = Vec::new();
        for (part, program) in &mut self.programs {
            if let Some(status) = program.ended()? {
                let words = program.last_words();
                ended.push((*part, format!("{} ended with {status}: {words}", program.name())));
            }
        }
        Ok(ended)
    }

    /// Starts a last life, after all others.
    pub(crate) fn last_life(&mut self) -> anyhow::Result<usize> {
        let life = self.publishers[0].begin(&self.folder)?;
        self.lives.push(life);
        Ok(self.lives.len() - 1)
    }

    /// Sends the dead letters of Librato again.
    pub(crate) fn send_letters(&self) -> anyhow::Result<()> {
        let [_, backends, _] = &self.ports;
        let letters = self.folder.join("letters").display().to_string();
        let mut command = Command::new(program("zibrato-librato"));
        command.args(["deadletter", "send", "--all"]);
        let output = command.args(librato_flags(backends.at(3), &letters)).output()?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.success(), "dead letters are not accepted: {said}");
        Ok(())
    }

    /// Stops everything, in the right order.
    pub(crate) fn strike(&mut self) -> anyhow::Result<()> {
        for part in [Part::CarbonWorker, Part::LibratoWorker, Part::Broker] {
            self.program(part)?.stop()?;
        }
        Ok(())
    }

    /// The lines of all logs that report a panic.
    pub(crate) fn panics(&self) -> Vec<String> {
        let logs = self.programs.values().map(|program| (program.name().to_owned(), program.log()));
        let panics_in = |(name, log): (String, String)| {
            let lines = log.lines().filter(|line| line.contains("panicked")).map(str::to_owned);
            lines.map(|line| format!("{name}: {line}")).collect::<Vec<_>>()
        };
        logs.flat_map(panics_in).collect()
    }

    /// The measurements of a life that Carbon has.
    pub(crate) fn at_carbon(&self, life: &Life) -> Arrived {
        carbon(&self.folder.join("carbon"), &life.source)
    }

    fn live(&mut self, publisher: usize) -> anyhow::Result<&mut Life> {
        let publisher = &self.publishers[publisher];
        let mut lives = self.lives.iter_mut();
        lives.find(|life| publisher.is(life) && life.end == End::Runs).context("no publisher")
    }

    fn publisher(&self, part: Part) -> Option<usize> {
        PUBLISHERS.iter().position(|publisher| *publisher == part)
    }

    fn program(&mut self, part: Part) -> anyhow::Result<&mut Process> {
        self.programs.get_mut(&part).with_context(|| format!("{part:?} is not a program"))
    }

    fn link(&self, part: Part) -> anyhow::Result<&Proxy> {
        self.links.get(&part).with_context(|| format!("{part:?} is not a link"))
    }

    fn answer(&self, how: &str) -> anyhow::Result<()> {
        Ok(fs::write(self.folder.join("librato.answer"), how)?)
    }

    fn clock(&self, part: Part) -> PathBuf {
        self.folder.join(format!("{part:?}"))
    }

    fn set_clock(&self, part: Part, offset: &str) -> anyhow::Result<()> {
        // In one step, because the fake may be reading.
        let new = self.clock(part).with_extension("new");
        fs::write(&new, offset)?;
        Ok(fs::rename(new, self.clock(part))?)
    }
}

fn librato_flags(port: u16, letters: &str) -> Vec<String> {
    let url = format!("http://127.0.0.1:{port}");
    let flags = ["--username", FakeLibrato::USERNAME, "--apitoken", FakeLibrato::APITOKEN];
    flags
        .into_iter()
        .chain(["--api-url", &url, "--dead-letters", letters])
        .map(str::to_owned)
        .collect()
}
