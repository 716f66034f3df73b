//! The plan of faults and their times, which depends only on a seed.

use std::time::Duration;

/// The kinds of faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Kill,
    Stop,
    Answer500,
    Answer429,
    Answer401,
    Answer400,
    AnswerOne,
    NoLetters,
    Hang,
    CutBody,
    CutAnswer,
    Stall,
    Reset,
    HalfOpen,
    DiskFull,
    DiskFails,
    ReadOnly,
    Moved,
    Unmounted,
    Descriptors,
    ClockForward,
    ClockBack,
}

impl Kind {
    /// The name in the report.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill -9 and restart",
            Self::Stop => "stop and restart",
            Self::Answer500 => "answers 500",
            Self::Answer429 => "answers 429, Retry-After",
            Self::Answer401 => "answers 401",
            Self::Answer400 => "answers 400",
            Self::AnswerOne => "answers 400 to one series",
            Self::NoLetters => "answers 400, no dead letters",
            Self::Hang => "hangs",
            Self::CutBody => "cut in mid-body",
            Self::CutAnswer => "cut in mid-answer",
            Self::Stall => "connections stall",
            Self::Reset => "connections reset",
            Self::HalfOpen => "connections half open",
            Self::DiskFull => "disk full",
            Self::DiskFails => "disk gives EIO",
            Self::ReadOnly => "disk read-only",
            Self::Moved => "folder moved away",
            Self::Unmounted => "disk unmounted",
            Self::Descriptors => "no further descriptors",
            Self::ClockForward => "an hour ahead",
            Self::ClockBack => "an hour back",
        }
    }
}

/// The parts that can have faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    PublisherA,
    PublisherB,
    Broker,
    CarbonWorker,
    LibratoWorker,
    Carbon,
    Librato,
    /// Between publishers and broker.
    Intake,
    /// Between a worker and the broker.
    CarbonFeed,
    LibratoFeed,
    /// Between a worker and its backend.
    ToCarbon,
    ToLibrato,
    /// The disk of the journal.
    Disk,
    /// The clock of one program.
    BrokerClock,
    CarbonWorkerClock,
    LibratoWorkerClock,
}

impl Part {
    /// The name in the report.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::PublisherA => "publisher a",
            Self::PublisherB => "publisher b",
            Self::Broker => "broker",
            Self::CarbonWorker => "zibrato-carbon",
            Self::LibratoWorker => "zibrato-librato",
            Self::Carbon => "Carbon",
            Self::Librato => "Librato",
            Self::Intake => "publishers to broker",
            Self::CarbonFeed => "broker to zibrato-carbon",
            Self::LibratoFeed => "broker to zibrato-librato",
            Self::ToCarbon => "zibrato-carbon to Carbon",
            Self::ToLibrato => "zibrato-librato to Librato",
            Self::Disk => "journal",
            Self::BrokerClock => "broker's clock",
            Self::CarbonWorkerClock => "zibrato-carbon's clock",
            Self::LibratoWorkerClock => "zibrato-librato's clock",
        }
    }
}

/// One fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) kind: Kind,
    pub(crate) part: Part,
    /// The time after the start of the previous fault, if they overlap, or else after its end.
    pub(crate) pause: Duration,
    pub(crate) overlaps: bool,
    pub(crate) lasts: Duration,
    /// The number of bytes before a cut, and other choices.
    pub(crate) number: usize,
}

impl Fault {
    /// Whether publishers may have to wait during the fault.
    pub(crate) const fn delays_publishers(&self) -> bool {
        match self.part {
            Part::Broker | Part::Intake | Part::Disk => true,
            // The program cannot open new connections.
            Part::PublisherA | Part::PublisherB => matches!(self.kind, Kind::Descriptors),
            _ => false,
        }
    }

    /// Whether both may be active at the same time. A program that is started while its folder is
    /// missing takes that for its first start, and a program that is started on a failing disk does
    /// not start.
    pub(crate) fn goes_with(&self, other: &Self) -> bool {
        let ends = |fault: &Self, part| {
            fault.part == part && matches!(fault.kind, Kind::Kill | Kind::Stop)
        };
        let needed = |fault: &Self, of| match fault.kind {
            Kind::DiskFails | Kind::ReadOnly | Kind::Moved | Kind::Unmounted => of == Part::Broker,
            Kind::NoLetters => of == Part::LibratoWorker,
            _ => false,
        };
        let parts = [Part::Broker, Part::LibratoWorker];
        let clash = |a, b| parts.iter().any(|part| ends(a, *part) && needed(b, *part));
        self.part != other.part && !clash(self, other) && !clash(other, self)
    }
}

const LINKS: &[Part] =
    &[Part::Intake, Part::CarbonFeed, Part::LibratoFeed, Part::ToCarbon, Part::ToLibrato];
const PROGRAMS: &[Part] =
    &[Part::PublisherA, Part::PublisherB, Part::Broker, Part::CarbonWorker, Part::LibratoWorker];
const CLOCKS: &[Part] = &[Part::BrokerClock, Part::CarbonWorkerClock, Part::LibratoWorkerClock];

/// The choices, all with the same probability, and the range of their durations in milliseconds.
const CHOICES: [(Kind, &[Part], (u64, u64)); 26] = [
    (Kind::Kill, &[Part::PublisherA, Part::PublisherB], (50, 1_500)),
    (Kind::Kill, &[Part::Broker], (0, 4_000)),
    (Kind::Kill, &[Part::CarbonWorker, Part::LibratoWorker], (0, 3_000)),
    (Kind::Kill, &[Part::Carbon, Part::Librato], (0, 3_000)),
    (Kind::Stop, &[Part::PublisherA, Part::PublisherB], (50, 1_000)),
    (Kind::Stop, &[Part::Broker, Part::CarbonWorker, Part::LibratoWorker], (0, 2_000)),
    (Kind::Answer500, &[Part::Librato], (500, 4_000)),
    (Kind::Answer429, &[Part::Librato], (500, 4_000)),
    (Kind::Answer401, &[Part::Librato], (500, 2_000)),
    (Kind::Answer400, &[Part::Librato], (1_000, 2_500)),
    (Kind::AnswerOne, &[Part::Librato], (1_000, 3_000)),
    (Kind::NoLetters, &[Part::Librato], (1_000, 2_500)),
    (Kind::Hang, &[Part::Librato, Part::Carbon], (1_000, 5_000)),
    (Kind::CutBody, &[Part::ToLibrato, Part::ToCarbon], (1_000, 3_000)),
    (Kind::CutAnswer, &[Part::ToLibrato], (1_000, 3_000)),
    (Kind::Stall, LINKS, (500, 6_000)),
    (Kind::Reset, LINKS, (100, 1_500)),
    (Kind::HalfOpen, LINKS, (1_000, 8_000)),
    (Kind::DiskFull, &[Part::Disk], (500, 5_000)),
    (Kind::DiskFails, &[Part::Disk], (500, 5_000)),
    (Kind::ReadOnly, &[Part::Disk], (500, 5_000)),
    (Kind::Moved, &[Part::Disk], (500, 5_000)),
    (Kind::Unmounted, &[Part::Disk], (500, 5_000)),
    (Kind::Descriptors, PROGRAMS, (1_000, 5_000)),
    (Kind::ClockForward, CLOCKS, (1_500, 6_000)),
    (Kind::ClockBack, CLOCKS, (1_500, 6_000)),
];

/// Percentage of faults that begin while the previous one is active.
const OVERLAPS: u64 = 40;

/// A plan of `count` faults. The same seed gives the same plan, and a shorter plan is the beginning
/// of a longer one.
pub(crate) fn plan(seed: u64, count: usize) -> Vec<Fault> {
    let mut dice = Dice(seed);
    let (mut deck, mut plan) = (Vec::new(), Vec::<Fault>::new());
    while plan.len() < count {
        // All choices in random order, then all again, so that a plan of 26 faults has each of
        // them.
        if deck.is_empty() {
            deck.extend(CHOICES);
        }
        let at = dice.below(deck.len() as u64) as usize;
        let (kind, parts, (least, most)) = deck.swap_remove(at);
        let part = parts[dice.below(parts.len() as u64) as usize];
        let lasts = least + dice.below(most - least);
        let overlaps = dice.below(100) < OVERLAPS;
        let pause = dice.below(if overlaps { 800 } else { 1_500 });
        let number = dice.below(1_500) as usize;
        let (pause, lasts) = (Duration::from_millis(pause), Duration::from_millis(lasts));
        plan.push(Fault { kind, part, pause, overlaps, lasts, number });
    }
    plan
}

/// Pseudo-random numbers: SplitMix64.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `n`.
    fn below(&mut self, n: u64) -> u64 {
        self.next() % n.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::{CHOICES, plan};
    use std::collections::BTreeSet;

    #[test]
    fn a_seed_decides_the_plan_and_a_round_has_every_kind() {
        let round = plan(7, CHOICES.len());
        assert_eq!(round, plan(7, 200)[..CHOICES.len()]);
        assert_ne!(round, plan(8, CHOICES.len()));
        let kinds =
            |choices: &mut dyn Iterator<Item = super::Kind>| choices.collect::<BTreeSet<_>>();
        assert_eq!(
            kinds(&mut round.iter().map(|fault| fault.kind)),
            kinds(&mut CHOICES.iter().map(|choice| choice.0))
        );
    }
}
