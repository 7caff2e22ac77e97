//! Questions of many tasks to the database that go together in few commands.

use std::io;
use std::sync::Arc;

use super::StoreError;
use super::away::away;
use super::limit::in_time;
use crate::gather::Gather;

/// The way to ask. While some questions are under way, the rest gathers; none joins a command that was sent before it.
pub struct Together<Q, R>(Gather<Q, Result<R, StoreError>>);

impl<Q, R> Clone for Together<Q, R> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<Q: Send + 'static, R: Send + 'static> Together<Q, R> {
    /// `work` asks the database, and gives as many answers as there are questions, in their order.
    pub fn new<F, Fut>(work: F) -> Self
    where
        F: Fn(Vec<Q>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Vec<R>, StoreError>> + Send + 'static,
    {
        let work = Arc::new(work);
        Self(Gather::new(move |questions: Vec<Q>| {
            let (work, count) = (work.clone(), questions.len());
            async move {
                match work(questions).await {
                    Ok(answers) => answers.into_iter().map(Ok).collect(),
                    Err(error) => vec![error; count].into_iter().map(Err).collect(),
                }
            }
        }))
    }

    /// Asks, and gives up after [`PATIENCE`](super::PATIENCE).
    ///
    /// # Errors
    /// If the database does not answer; those of the work.
    pub async fn ask(&self, question: Q) -> Result<R, StoreError> {
        in_time(async { self.0.ask(question).await.unwrap_or_else(|| Err(broken_off())) }).await
    }
}

pub(super) fn broken_off() -> StoreError {
    StoreError::Database(away(io::ErrorKind::ConnectionAborted, "the work on it broke off".to_owned()))
}
