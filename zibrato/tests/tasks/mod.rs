//! Captures of tasks, on runtimes with one thread and with several.

use super::DEADLINE;
use std::time::Instant;
use zibrato::testing::{capture, capture_process};
use zibrato::{count, time};

/// A program that spawns tasks itself.
async fn fan_out(tasks: u32) {
    let mut all = Vec::new();
    for task in 0..tasks {
        all.push(tokio::spawn(async move {
            count!("info", "task.begun");
            tokio::task::yield_now().await;
            tokio::task::spawn_blocking(|| count!("info", "task.blocked")).await.unwrap();
            time!("info", "task.work", tokio::task::yield_now().await);
            count!("info", "task.ended", tags(task = task));
        }));
    }
    for task in all {
        task.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_spawned_tasks_record_on_a_runtime_of_many_threads_is_captured() {
    let capture = capture_process();
    fan_out(50).await;
    assert_eq!(capture.counter("info", "task.begun"), 50.0);
    assert_eq!(capture.counter("info", "task.blocked"), 50.0);
    assert_eq!(capture.timer("info", "task.work").len(), 50);
    assert_eq!(capture.tagged("task", 7).counter("info", "task.ended"), 1.0);
}

/// Counts when it is dropped.
struct Ends;

impl Drop for Ends {
    fn drop(&mut self) {
        count!("info", "wrapped.dropped");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_wrapped_task_is_captured_on_every_thread_that_polls_or_drops_it() {
    let (capture, other) = (capture(), capture());
    let mut all = Vec::new();
    for _ in 0..50 {
        all.push(tokio::spawn(capture.in_task(async {
            let _ends = Ends;
            for _ in 0..20 {
                count!("info", "wrapped");
                tokio::task::yield_now().await;
            }
        })));
    }
    let cancelled = tokio::spawn(capture.in_task(async {
        let _ends = Ends;
        count!("info", "wrapped");
        std::future::pending::<()>().await;
    }));
    for task in all {
        task.await.unwrap();
    }
    let begun = Instant::now();
    while capture.counter("info", "wrapped") < 1001.0 {
        assert!(begun.elapsed() < DEADLINE, "the last task has not counted");
        tokio::task::yield_now().await;
    }
    cancelled.abort();
    assert!(cancelled.await.unwrap_err().is_cancelled());
    // The threads of the runtime are not attached any more.
    tokio::spawn(async { count!("info", "wrapped") }).await.unwrap();
    assert_eq!(capture.counter("info", "wrapped"), 1001.0);
    assert_eq!(capture.counter("info", "wrapped.dropped"), 51.0);
    assert_eq!(other.measurements(), []);
}

#[test]
fn a_task_that_outlives_the_capture_goes_on_without_it() {
    let (capture, other) = (capture(), capture());
    let task = capture.in_task(async { count!("info", "late") });
    drop(capture);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(task);
    assert_eq!(other.counter("info", "late"), 1.0);
    // Nor does a task hold the capture of the process.
    let all = capture_process();
    let task = all.in_task(async {});
    drop(all);
    drop(capture_process());
    drop(task);
}
