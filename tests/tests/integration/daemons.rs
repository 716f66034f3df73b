//! Every daemon, with flags that let it start.

use std::slice::Iter;
use tempfile::TempDir;
use zibrato_tests::BACKENDS;

/// A program and its flags.
pub(crate) type Daemon = (&'static str, Vec<String>);

/// The broker, the worker of each backend, and `zibrato-tail` if it was asked for.
pub(crate) struct Daemons {
    all: Vec<Daemon>,
    /// Folder of the files with secrets that the flags name.
    _secrets: TempDir,
}

impl Daemons {
    /// All except `zibrato-tail`: the broker with the flags `broker`, and each worker with the
    /// flags `worker` and those that it needs.
    pub(crate) fn with(broker: &[&str], worker: &[&str]) -> Self {
        let secrets = TempDir::new().unwrap();
        let texts = |flags: &[&str]| flags.iter().map(|flag| (*flag).to_owned()).collect();
        let mut all: Vec<Daemon> = vec![("zibrato-broker", texts(broker))];
        for backend in BACKENDS {
            let mut flags: Vec<String> = texts(worker);
            flags.extend(backend.flags(secrets.path()));
            all.push((backend.program, flags));
        }
        Self { all, _secrets: secrets }
    }

    /// Adds `zibrato-tail` with these flags.
    pub(crate) fn and_tail(mut self, flags: &[&str]) -> Self {
        let flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
        self.all.push(("zibrato-tail", flags));
        self
    }

    /// The flags of one daemon.
    pub(crate) fn flags(&self, name: &str) -> Vec<&str> {
        let (_, flags) = self.all.iter().find(|(known, _)| *known == name).unwrap();
        flags.iter().map(String::as_str).collect()
    }

    /// All daemons.
    pub(crate) fn iter(&self) -> Iter<'_, Daemon> {
        self.all.iter()
    }
}
