//! An example of `docs/testing.md`: tasks of tokio.

use zibrato::count;
use zibrato::testing::{assert_counted, capture, capture_process};

async fn import(shards: u32) {
    let tasks: Vec<_> = (0..shards)
        .map(|shard| tokio::spawn(async move { count!("info", "rows", shard * 10) }))
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

// The code under test spawns tasks, which run on any thread of the runtime.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn all_shards_are_imported() {
    let capture = capture_process();
    import(4).await;
    assert_counted!(capture, "rows", 60);
}

// The test spawns a task itself. Other tests are not affected.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_task_of_the_test_is_wrapped() {
    let capture = capture();
    let task = capture.in_task(async {
        tokio::task::yield_now().await;
        count!("info", "wrapped");
    });
    tokio::spawn(task).await.unwrap();
    assert_counted!(capture, "wrapped", 1);
}

// The default runtime has one thread, that of the test.
#[tokio::test]
async fn a_runtime_of_one_thread_needs_nothing_else() {
    let capture = capture();
    import(3).await;
    assert_counted!(capture, "rows", 30);
}
