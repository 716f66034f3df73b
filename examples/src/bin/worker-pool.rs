//! A recipe of docs/recipes.md: a pool of workers, with the depth of its queue and the time of jobs.
#![expect(clippy::print_stderr, reason = "a program tells its user what failed")]

use crossbeam_channel::{Receiver, bounded};
use std::error::Error;
use std::thread;
use zibrato::{Zibrato, gauge, time_me};

const WORKERS: usize = 4;

#[time_me(name = "jobs.run", outcomes, in_flight)]
fn run(job: u32) -> Result<u32, String> {
    if job % 10 == 9 { Err(format!("job {job} is broken")) } else { Ok(job * 2) }
}

fn work(jobs: &Receiver<u32>) {
    for job in jobs {
        gauge!("info", "jobs.queued", jobs.len());
        if let Err(why) = run(job) {
            eprintln!("{why}");
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let _zibrato = Zibrato::builder().source("pool").install()?;
    let (queue, jobs) = bounded(100);
    thread::scope(|scope| {
        for _ in 0..WORKERS {
            let jobs = jobs.clone();
            scope.spawn(move || work(&jobs));
        }
        drop(jobs); // if no worker is left, `send` fails
        for job in 0..500 {
            queue.send(job)?; // waits while the queue is full
        }
        drop(queue); // the workers finish what is queued, and end
        Ok(())
    })
}
