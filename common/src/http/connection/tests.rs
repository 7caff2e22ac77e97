use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Wake;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

use super::*;

const GET: &str = "GET / HTTP/1.1\r\nhost: x\r\n\r\n";

#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// A connection as its dispatcher sees it, and how often that was woken.
struct Seen {
    connection: Connection<DuplexStream>,
    wakes: Arc<Wakes>,
}

impl Seen {
    fn new(pipe: usize) -> (Self, DuplexStream) {
        let (stream, client) = duplex(pipe);
        (Self { connection: Connection::new(stream), wakes: Arc::default() }, client)
    }

    fn wakes(&self) -> usize {
        self.wakes.0.load(Ordering::SeqCst)
    }

    /// What is handed over until there is nothing more for now.
    fn read(&mut self) -> String {
        let (waker, mut space) = (Arc::clone(&self.wakes).into(), [0; 4096]);
        let mut to = ReadBuf::new(&mut space);
        while let Poll::Ready(read) =
            Pin::new(&mut self.connection).poll_read(&mut Context::from_waker(&waker), &mut to)
        {
            read.unwrap();
        }
        std::str::from_utf8(to.filled()).unwrap().to_owned()
    }

    fn write(&mut self, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let waker = Arc::clone(&self.wakes).into();
        Pin::new(&mut self.connection).poll_write(&mut Context::from_waker(&waker), bytes)
    }

    fn begin(&self, body: bool, length: Option<usize>) -> Answering {
        self.connection.intake().begin(body, length)
    }
}

#[tokio::test]
async fn one_head_is_handed_over_and_the_next_one_when_it_is_answered() {
    let (mut seen, mut client) = Seen::new(4096);
    client.write_all(GET.repeat(3).as_bytes()).await.unwrap();
    for _ in 0..3 {
        assert_eq!(seen.read(), GET);
        let answering = seen.begin(false, None);
        assert_eq!((seen.read(), seen.read()), (String::new(), String::new()));
        drop(answering);
    }
    assert_eq!(seen.read(), "");
}

#[tokio::test]
async fn nothing_more_is_handed_over_while_the_client_reads_no_answers() {
    let (mut seen, mut client) = Seen::new(64);
    client.write_all(GET.repeat(2).as_bytes()).await.unwrap();
    assert_eq!(seen.read(), GET);
    drop(seen.begin(false, None));
    assert!(seen.write(&[b'a'; 64]).is_ready() && seen.write(b"a").is_pending());
    assert_eq!((seen.read(), seen.read()), (String::new(), String::new()));
    client.read_exact(&mut [0; 64]).await.unwrap();
    let before = seen.wakes();
    assert!(seen.write(b"a").is_ready() && seen.wakes() > before, "it is read on");
    assert_eq!(seen.read(), GET);
}

#[tokio::test]
async fn a_body_that_is_waited_for_wakes_nobody_before_it_comes() {
    let (mut seen, mut client) = Seen::new(4096);
    let head = "POST / HTTP/1.1\r\ncontent-length: 9\r\n\r\n";
    client.write_all(format!("{head}a\n\n").as_bytes()).await.unwrap();
    assert_eq!(seen.read(), head, "the body has blank lines of its own");
    let answering = seen.begin(true, Some(9));
    let before = seen.wakes();
    answering.0.want(true);
    assert_eq!(seen.read(), "a\n\n");
    for _ in 0..3 {
        answering.0.want(true);
        assert_eq!(seen.read(), "");
    }
    assert_eq!(seen.wakes(), before);
    client.write_all(format!("\n\n\n\n\n\n{GET}").as_bytes()).await.unwrap();
    assert!(seen.wakes() > before);
    assert_eq!(seen.read(), format!("\n\n\n\n\n\n{GET}")[..6], "and no more than the body");
    answering.0.want(false);
    assert_eq!(seen.read(), "");
    drop(answering);
    assert_eq!(seen.read(), GET);
}

#[tokio::test(start_paused = true)]
async fn half_a_head_that_came_with_a_request_has_its_time() {
    let (mut seen, mut client) = Seen::new(4096);
    client.write_all(format!("{GET}GET /").as_bytes()).await.unwrap();
    assert_eq!(seen.read(), format!("{GET}GET /"));
    let answering = seen.begin(false, None);
    assert_eq!(seen.read(), "");
    let before = seen.wakes();
    drop(answering);
    assert!(seen.wakes() > before);
    assert_eq!(seen.read(), "");
    tokio::time::advance(UNANSWERED).await;
    let waker = Arc::clone(&seen.wakes).into();
    let read =
        Pin::new(&mut seen.connection).poll_read(&mut Context::from_waker(&waker), &mut ReadBuf::new(&mut [0; 9]));
    assert!(matches!(read, Poll::Ready(Err(late)) if late.kind() == io::ErrorKind::TimedOut));
}

#[tokio::test(start_paused = true)]
async fn who_waits_between_requests_has_no_time() {
    let (mut seen, mut client) = Seen::new(4096);
    for _ in 0..3 {
        client.write_all(GET.as_bytes()).await.unwrap();
        assert_eq!(seen.read(), GET);
        // Answered before anybody reads again.
        drop(seen.begin(false, None));
        assert_eq!(seen.read(), "");
        tokio::time::advance(UNANSWERED * 2).await;
    }
    assert_eq!(seen.read(), "");
}

fn pieces(sent: &[&str]) -> Vec<String> {
    let mut lines = Lines::default();
    let mut pieces = Vec::new();
    for sent in sent {
        let mut rest = sent.as_bytes();
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(lines.piece(rest).length);
            pieces.push(String::from_utf8(piece.to_vec()).unwrap());
            rest = after;
        }
    }
    pieces
}

#[test]
fn no_two_heads_are_in_one_piece() {
    assert_eq!(pieces(&[&GET.repeat(3)]), [GET, GET, GET]);
    assert_eq!(pieces(&["GET / HTTP/1.1\n\nGET / HTTP/1.1\n\n"]), ["GET / HTTP/1.1\n\n", "GET / HTTP/1.1\n\n"]);
    assert_eq!(pieces(&[&format!("{GET}GET /")]), [format!("{GET}GET /")], "a second one that is not whole");
}

#[test]
fn a_body_that_came_with_its_head_goes_with_it() {
    let post = "POST / HTTP/1.1\r\ncontent-length: 2\r\n\r\n{}";
    assert_eq!(pieces(&[post]), [post]);
}

#[test]
fn a_blank_line_is_seen_across_pieces() {
    let mut lines = Lines::default();
    for sent in ["GET / HTTP/1.1\r", "\n", "\r"] {
        assert_eq!(lines.piece(sent.as_bytes()), Piece { length: sent.len(), head: None });
    }
    assert_eq!(lines.piece(b"\nGET"), Piece { length: 4, head: Some(1) });
    assert_eq!(lines.piece(b" / HTTP/1.1\r\n\r\n\r\n"), Piece { length: 15, head: Some(15) });
    assert_eq!(lines.piece(b"\r\n"), Piece { length: 2, head: Some(2) });
}
