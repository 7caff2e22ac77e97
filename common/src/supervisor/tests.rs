use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{Notify, mpsc, oneshot};

use super::*;

const SOON: Duration = Duration::from_secs(20);

async fn within<T>(what: &str, work: impl Future<Output = T>) -> T {
    tokio::time::timeout(SOON, work).await.unwrap_or_else(|_| panic!("not in time: {what}"))
}

#[tokio::test]
async fn a_task_that_panics_begins_anew() {
    let supervisor = Supervisor::new(Readiness::default());
    let (begun, mut runs) = mpsc::unbounded_channel();
    let count = Arc::new(AtomicUsize::new(0));
    supervisor.supervise("fragile", Need::Needed, move |stop| {
        let run = count.fetch_add(1, Ordering::SeqCst);
        begun.send(run).unwrap();
        async move {
            assert!(run >= 2, "breaks on purpose");
            stop.cancelled().await;
        }
    });
    for run in 0..3 {
        assert_eq!(within("a run", runs.recv()).await, Some(run));
    }
    assert!(supervisor.readiness.is_ready(), "a task that was down for a moment is no reason");
    within("the stop", supervisor.stop(SOON)).await;
}

#[tokio::test]
async fn a_needed_task_that_stays_down_is_named_and_an_optional_one_is_not() {
    let supervisor = Supervisor::new(Readiness::default());
    for (name, need) in [("needed", Need::Needed), ("optional", Need::Optional)] {
        supervisor.supervise(name, need, |_| async { panic!("breaks on purpose") });
    }
    let named = async {
        while supervisor.readiness.is_ready() {
            tokio::task::yield_now().await;
        }
    };
    within("a task is down", named).await;
    assert_eq!(supervisor.readiness.tasks_down(), ["needed"]);
    within("the stop", supervisor.stop(SOON)).await;
}

#[tokio::test]
async fn relays_end_after_the_work() {
    let supervisor = Supervisor::new(Readiness::default());
    let (committed, waiting) = mpsc::unbounded_channel();
    let (finish, published) = (Arc::new(Notify::new()), Arc::new(AtomicUsize::new(0)));
    let (may_finish, seen) = (finish.clone(), published.clone());
    supervisor.supervise("listener", Need::Needed, move |stop| {
        let (committed, finish) = (committed.clone(), finish.clone());
        async move {
            stop.cancelled().await;
            finish.notified().await;
            committed.send(()).unwrap();
        }
    });
    let waiting = Arc::new(tokio::sync::Mutex::new(waiting));
    supervisor.supervise_relay("relay", move |stop| {
        let (waiting, published) = (waiting.clone(), published.clone());
        async move {
            stop.cancelled().await;
            while waiting.lock().await.try_recv().is_ok() {
                published.fetch_add(1, Ordering::SeqCst);
            }
        }
    });
    let stopping = supervisor.stop(SOON);
    let finishing = async {
        supervisor.stopping().cancelled().await;
        may_finish.notify_one();
    };
    within("the stop", async { tokio::join!(stopping, finishing) }).await;
    assert_eq!(seen.load(Ordering::SeqCst), 1, "what the listener committed during the stop was published");
}

#[tokio::test]
async fn who_waits_for_work_that_panics_is_not_left_waiting() {
    let (answer, answered) = oneshot::channel::<()>();
    Spawner::of("short").spawn(async move {
        let _held = answer;
        panic!("breaks on purpose");
    });
    assert!(within("the end of the channel", answered).await.is_err());
}
