//! Peers that are slow or silent: they open connections to a process, and say nothing, or a byte now and then.

use std::net::Ipv4Addr;
use std::time::Duration;

use futures::future::join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::wait::pause;

/// How long they wait between two bytes.
const BETWEEN_BYTES: Duration = Duration::from_millis(200);

/// A beginning after which a body is expected that never comes to its end.
const BEGINNING: &[u8] =
    b"POST /api/payments/webhook HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 4000\r\n\r\n";

/// So many peers of a port, each third of them silent, a third with a head that drips and a third with a body that drips.
/// Answers how many had a connection.
pub(super) async fn pester(port: u16, peers: usize, length: Duration) -> usize {
    let connected = join_all((0..peers).map(|nth| async move {
        let Ok(stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await else { return 0 };
        // Whoever is sent away comes no more.
        let _ = tokio::time::timeout(length, one(stream, nth)).await;
        1
    }));
    connected.await.into_iter().sum()
}

async fn one(mut stream: TcpStream, nth: usize) -> std::io::Result<()> {
    let drips: &[u8] = match nth % 3 {
        0 => return stream.read(&mut [0; 512]).await.map(drop),
        1 => BEGINNING,
        _ => {
            stream.write_all(BEGINNING).await?;
            &[b' '; 4_000]
        }
    };
    for byte in drips {
        stream.write_all(std::slice::from_ref(byte)).await?;
        pause(BETWEEN_BYTES).await;
    }
    Ok(())
}
