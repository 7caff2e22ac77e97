//! The turn of a job that has many things to do.

use futures::{StreamExt as _, stream};

/// Does something for each, at most `at_once` at a time, whatever becomes of the others.
///
/// # Errors
/// One of the failures, after all have had their turn.
pub async fn each<T, E, F: Future<Output = Result<(), E>>>(
    things: impl IntoIterator<Item = T>,
    at_once: usize,
    turn: impl Fn(T) -> F,
) -> Result<(), E> {
    let done: Vec<_> = stream::iter(things).map(turn).buffer_unordered(at_once).collect().await;
    done.into_iter().collect()
}
