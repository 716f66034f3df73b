//! A real supervisord that runs the programs of a configuration file, and its `supervisorctl`.

use crate::running::{Running, Signal, must};
use crate::wait::{DEADLINE, wait_until};
use std::fs;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

const SUPERVISORD: &str = "/usr/bin/supervisord";
const SUPERVISORCTL: &str = "/usr/bin/supervisorctl";

/// A running supervisord. Its programs end with it.
#[derive(Debug)]
pub struct Supervisord {
    running: Running,
    folder: TempDir,
}

impl Supervisord {
    /// Starts supervisord with `programs`, the text of a configuration file, and these additional
    /// environment variables. Waits until it accepts commands.
    ///
    /// # Panics
    /// If it is not installed, or rejects the configuration.
    #[must_use]
    #[track_caller]
    pub fn start(programs: &str, environment: &[(&str, &str)]) -> Self {
        assert!(
            Path::new(SUPERVISORD).is_file(),
            "{SUPERVISORD} is not there; `apt-get install supervisor` or `tests/run setup` installs it"
        );
        let folder = must("a temporary folder", TempDir::new());
        let here = folder.path().display();
        let write = |file, text: &str| must(file, fs::write(folder.path().join(file), text));
        write("programs.conf", programs);
        write(
            "supervisord.conf",
            &format!(
                "[unix_http_server]\nfile={here}/socket\n\
                 [supervisord]\nnodaemon=true\nlogfile={here}/log\npidfile={here}/pid\nchildlogdir={here}\n\
                 [rpcinterface:supervisor]\n\
                 supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n\
                 [supervisorctl]\nserverurl=unix://{here}/socket\n\
                 [include]\nfiles={here}/programs.conf\n"
            ),
        );
        let mut command = Command::new(SUPERVISORD);
        command.arg("-c").arg(folder.path().join("supervisord.conf"));
        let running = Running::start(command.envs(environment.iter().copied()));
        let mut supervisord = Self { running, folder };
        wait_until(DEADLINE, "supervisord to take commands", || {
            assert!(!supervisord.running.has_ended(), "supervisord ended");
            supervisord.folder.path().join("socket").exists()
                && supervisord.control(&["pid"]).trim().parse::<u32>().is_ok()
        });
        supervisord
    }

    /// Runs `supervisorctl` with these arguments and returns its output.
    ///
    /// # Panics
    /// If it does not end within a minute.
    #[track_caller]
    pub fn control(&self, args: &[&str]) -> String {
        let mut command = Command::new(SUPERVISORCTL);
        command.arg("-c").arg(self.folder.path().join("supervisord.conf")).args(args);
        let mut running = Running::start(&mut command);
        running.ended_within(DEADLINE * 2);
        running.output()
    }

    /// Waits until every one of these programs is in `state`: `RUNNING`, `STOPPED` …
    ///
    /// # Panics
    /// If one is not within [`DEADLINE`].
    #[track_caller]
    pub fn all(&self, programs: &[&str], state: &str) {
        wait_until(DEADLINE, &format!("{programs:?} to be {state}"), || {
            let status = self.control(&["status"]);
            programs.iter().all(|program| {
                let mut lines = status.lines().map(str::split_whitespace);
                lines.any(|mut words| words.next() == Some(program) && words.next() == Some(state))
            })
        });
    }

    /// The folder with supervisord's own log, its socket, and the logs of programs that name no
    /// file.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for Supervisord {
    #[expect(clippy::print_stderr, reason = "a failed test shows what its programs said")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- supervisorctl status:\n{}---", self.control(&["status"]));
        } else if !self.running.has_ended() {
            // After SIGKILL its programs would keep running; after TERM it stops them first.
            self.running.stop(Signal::TERM);
            return;
        }
        if !self.running.has_ended() {
            self.running.signal(Signal::TERM);
            let begun = std::time::Instant::now();
            while !self.running.has_ended() && begun.elapsed() < DEADLINE {
                std::thread::park_timeout(std::time::Duration::from_millis(20));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Supervisord;

    #[test]
    fn programs_are_started_and_stopped_by_name() {
        let programs = "[program:idle]\ncommand=/bin/cat /dev/zero\nstdout_logfile=NONE\n\
                        startsecs=0\nautostart=false\n";
        let supervisord = Supervisord::start(programs, &[]);
        supervisord.all(&["idle"], "STOPPED");
        assert_eq!(supervisord.control(&["start", "idle"]), "idle: started\n");
        supervisord.all(&["idle"], "RUNNING");
        assert_eq!(supervisord.control(&["stop", "idle"]), "idle: stopped\n");
        supervisord.all(&["idle"], "STOPPED");
    }
}
