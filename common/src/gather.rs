//! Work that many tasks ask for one by one and that is done together: while some of it is under way, the rest gathers.
//!
//! Nobody waits for others to come: what is asked of an idle gatherer is done at once, alone. The more is asked at a time,
//! the more goes together.

use std::sync::Arc;

use tokio::sync::{Mutex, Semaphore, mpsc, oneshot};

use crate::supervisor::Spawner;

/// How many may wait; who comes then waits for room.
const LINE: usize = 4096;

/// How much is done together.
pub const BATCH: usize = 512;

/// How many batches are under way at a time.
const UNDER_WAY: usize = 2;

type Asked<Q, A> = (Q, oneshot::Sender<A>);

/// The way to a gatherer.
pub struct Gather<Q, A> {
    line: mpsc::Sender<Asked<Q, A>>,
}

impl<Q, A> Clone for Gather<Q, A> {
    fn clone(&self) -> Self {
        Self { line: self.line.clone() }
    }
}

impl<Q: Send + 'static, A: Send + 'static> Gather<Q, A> {
    /// A gatherer that has `work` done; `work` gives as many answers as it was asked for, in their order.
    pub fn new<F, Fut>(work: F) -> Self
    where
        F: Fn(Vec<Q>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Vec<A>> + Send + 'static,
    {
        let (line, asked) = mpsc::channel(LINE);
        let (spawner, asked, work) = (Spawner::of("gatherer"), Arc::new(Mutex::new(asked)), Arc::new(work));
        let batches = spawner.clone();
        spawner.spawn_until_done(move || run(asked.clone(), work.clone(), batches.clone()));
        Self { line }
    }

    /// Has it done. `None` if the work broke off without an answer.
    pub async fn ask(&self, question: Q) -> Option<A> {
        let (answer, answered) = oneshot::channel();
        self.line.send((question, answer)).await.ok()?;
        answered.await.ok()
    }
}

async fn run<Q, A, F, Fut>(line: Arc<Mutex<mpsc::Receiver<Asked<Q, A>>>>, work: Arc<F>, spawner: Spawner)
where
    Q: Send + 'static,
    A: Send + 'static,
    F: Fn(Vec<Q>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Vec<A>> + Send + 'static,
{
    let mut line = line.lock().await;
    let places = Arc::new(Semaphore::new(UNDER_WAY));
    let mut gathered = Vec::with_capacity(BATCH);
    // The place first: until there is one, more gathers.
    while let Ok(place) = places.clone().acquire_owned().await {
        if line.recv_many(&mut gathered, BATCH).await == 0 {
            return;
        }
        let (questions, answers): (Vec<Q>, Vec<oneshot::Sender<A>>) = gathered.drain(..).unzip();
        let work = work.clone();
        spawner.spawn(async move {
            for (answer, found) in answers.into_iter().zip(work(questions).await) {
                // Who has gone needs no answer.
                let _ = answer.send(found);
            }
            drop(place);
        });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use futures::future::join_all;

    use super::*;

    #[tokio::test]
    async fn what_comes_while_others_are_under_way_goes_together() {
        let sizes = Arc::new(Mutex::new(Vec::new()));
        let (seen, hurdle) = (sizes.clone(), Arc::new(Semaphore::new(0)));
        let jump = hurdle.clone();
        let doubling = Gather::new(move |numbers: Vec<u32>| {
            seen.lock().unwrap().push(numbers.len());
            let hurdle = hurdle.clone();
            async move {
                hurdle.acquire().await.unwrap().forget();
                numbers.into_iter().map(|number| number * 2).collect()
            }
        });
        let asked = join_all((0..100).map(|number| doubling.ask(number)));
        let lifted = async {
            jump.add_permits(100);
        };
        let (answers, ()) = tokio::join!(asked, lifted);
        assert_eq!(answers, (0..100).map(|number| Some(number * 2)).collect::<Vec<_>>());
        assert_eq!(sizes.lock().unwrap().iter().sum::<usize>(), 100);
        assert!(sizes.lock().unwrap().len() < 10, "{:?}", sizes.lock().unwrap());
    }

    #[tokio::test]
    async fn work_that_breaks_off_answers_nothing_and_the_next_is_done() {
        let fragile = Gather::new(|numbers: Vec<u32>| async move {
            assert!(!numbers.contains(&0), "breaks on purpose");
            numbers
        });
        assert_eq!(fragile.ask(0).await, None);
        for number in 1..5 {
            assert_eq!(fragile.ask(number).await, Some(number));
        }
    }
}
