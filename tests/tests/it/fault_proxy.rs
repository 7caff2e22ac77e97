//! The fault proxy before a real server: an echo.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use common::clock::{Clock, SystemClock};
use docket_tests::{FaultProxy, Way};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

const SHORTLY: Duration = Duration::from_millis(300);

async fn echo() -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut from, mut to) = client.split();
                tokio::io::copy(&mut from, &mut to).await
            });
        }
    });
    address
}

async fn connect(proxy: &FaultProxy) -> TcpStream {
    TcpStream::connect(("127.0.0.1", proxy.port())).await.unwrap()
}

async fn ask(stream: &mut TcpStream, word: &[u8; 4]) -> std::io::Result<[u8; 4]> {
    stream.write_all(word).await?;
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).await.map(|_| answer)
}

#[tokio::test]
async fn an_open_way_carries_everything_and_tells_the_end() {
    let proxy = FaultProxy::before(echo().await).await;
    let mut stream = connect(&proxy).await;
    let long: Vec<u8> = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
    let (mut from, mut to) = stream.split();
    let mut back = Vec::new();
    let (sent, received) = tokio::join!(
        async {
            to.write_all(&long).await?;
            to.shutdown().await
        },
        from.read_to_end(&mut back)
    );
    sent.unwrap();
    received.unwrap();
    assert!(back == long, "{} of {} bytes came back as they were", back.len(), long.len());
}

#[tokio::test]
async fn a_cut_way_breaks_old_connections_and_new_ones() {
    let proxy = FaultProxy::before(echo().await).await;
    let mut before = connect(&proxy).await;
    assert_eq!(ask(&mut before, b"ping").await.unwrap(), *b"ping");
    proxy.set(Way::Cut);
    let broken = timeout(Duration::from_secs(5), async { while ask(&mut before, b"ping").await.is_ok() {} }).await;
    broken.expect("the old connection breaks");
    let mut during = connect(&proxy).await;
    assert!(ask(&mut during, b"ping").await.is_err(), "a new connection works through a cut way");
    proxy.set(Way::Open);
    let mut after = connect(&proxy).await;
    assert_eq!(ask(&mut after, b"ping").await.unwrap(), *b"ping");
}

#[tokio::test]
async fn a_stalled_way_holds_everything_back_until_it_is_open() {
    let proxy = FaultProxy::before(echo().await).await;
    let mut before = connect(&proxy).await;
    assert_eq!(ask(&mut before, b"ping").await.unwrap(), *b"ping");
    proxy.set(Way::Stalled);
    let mut during = connect(&proxy).await;
    for stream in [&mut before, &mut during] {
        stream.write_all(b"late").await.unwrap();
        let mut answer = [0; 4];
        assert!(timeout(SHORTLY, stream.read_exact(&mut answer)).await.is_err(), "it went through a stalled way");
    }
    proxy.set(Way::Open);
    for stream in [&mut before, &mut during] {
        let mut answer = [0; 4];
        timeout(Duration::from_secs(5), stream.read_exact(&mut answer)).await.unwrap().unwrap();
        assert_eq!(answer, *b"late");
    }
}

#[tokio::test]
async fn a_slow_way_takes_its_time_in_each_direction() {
    let proxy = FaultProxy::before(echo().await).await;
    let mut stream = connect(&proxy).await;
    proxy.set(Way::Slow(SHORTLY));
    let began = SystemClock.now();
    assert_eq!(ask(&mut stream, b"ping").await.unwrap(), *b"ping");
    assert!(SystemClock.now().since(began) >= SHORTLY * 2, "it came back too early");
}

#[tokio::test]
async fn a_server_that_is_down_breaks_the_connection() {
    let nowhere = TcpListener::bind(("127.0.0.1", 0)).await.unwrap().local_addr().unwrap();
    let proxy = FaultProxy::before(nowhere).await;
    let mut stream = connect(&proxy).await;
    let error = ask(&mut stream, b"ping").await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe));
}

#[tokio::test]
async fn the_answers_that_are_to_be_lost_are_lost_and_no_more() {
    let proxy = FaultProxy::before(echo().await).await;
    proxy.lose_answers_to(&[b"loss", b"gone"], 2);
    for word in [b"ping", b"loss", b"gone", b"loss"] {
        let mut stream = connect(&proxy).await;
        let lost = proxy.lost();
        let is_lost = ask(&mut stream, word).await.is_err();
        assert_eq!(is_lost, proxy.lost() > lost, "{word:?} after {lost} lost answers");
    }
    assert_eq!((proxy.lost(), proxy.has_to_lose()), (2, false));
}

#[tokio::test]
async fn what_is_wrong_with_a_way_is_counted_where_it_is_felt() {
    let proxy = FaultProxy::before(echo().await).await;
    let mut stream = connect(&proxy).await;
    ask(&mut stream, b"ping").await.unwrap();
    assert_eq!(proxy.felt(), 0);
    proxy.set(Way::Slow(Duration::from_millis(1)));
    ask(&mut stream, b"ping").await.unwrap();
    let slowed = proxy.felt();
    assert!(slowed >= 2, "{slowed} pieces were slowed");
    proxy.set(Way::Cut);
    let broken = timeout(Duration::from_secs(5), async { while ask(&mut stream, b"ping").await.is_ok() {} }).await;
    broken.expect("the connection breaks");
    assert!(proxy.felt() > slowed, "a cut connection counts");
}
