//! Bodies that nobody will read. An answer that comes before its request was read closes the connection, and a client that
//! is refused would have to connect anew, which in a flood costs more than the refusal.

use std::time::Duration;

use actix_web::HttpMessage as _;
use actix_web::dev::ServiceRequest;
use futures::StreamExt as _;

use super::body::announced_length;

/// A body longer than this is not worth a connection, in bytes.
const SMALL: usize = 16 * 1024;
/// Nor one that takes longer to come.
const PATIENCE: Duration = Duration::from_millis(500);

/// Reads a small body to its end and throws it away. Larger ones, and those of unknown length, stay where they are.
pub(super) async fn throw_away(request: &mut ServiceRequest) {
    if !(1..=SMALL).contains(&announced_length(request.request())) {
        return;
    }
    let mut payload = request.take_payload();
    let to_its_end = async { while payload.next().await.is_some_and(|piece| piece.is_ok()) {} };
    // Whether it came to its end or not: the answer is the same, only the connection may close.
    let _ = tokio::time::timeout(PATIENCE, to_its_end).await;
}
