//! A TCP proxy in front of a server: it can cut, stall and slow what goes through it.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::task::{JoinHandle, JoinSet};

use crate::wait::pause;

const CHUNK: usize = 16 * 1024;

/// How the way to the server is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Way {
    /// As if there were no proxy.
    #[default]
    Open,
    /// Every connection breaks, and new ones break at once.
    Cut,
    /// Connections stay, new ones are taken, and nothing goes through; what was sent arrives when the way is open again.
    Stalled,
    /// Each piece of at most 16 KiB waits so long before it goes on.
    Slow(Duration),
}

/// A proxy that listens until it is dropped; its connections end with it.
#[derive(Debug)]
pub struct FaultProxy {
    port: u16,
    way: watch::Sender<Way>,
    taken: Arc<AtomicUsize>,
    /// Connections with a lower number are stalled, however the way is.
    stalled_below: watch::Sender<usize>,
    lost: Lost,
    serving: JoinHandle<()>,
}

/// A part of the one message whose answer is to be lost.
type Lost = Arc<Mutex<Option<Vec<u8>>>>;

impl FaultProxy {
    /// A proxy on a free port of 127.0.0.1 before the server at `target`, which need not run yet.
    ///
    /// # Panics
    /// If loopback has no free port.
    pub async fn before(target: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("loopback has a free port");
        let port = listener.local_addr().expect("a bound port has an address").port();
        let way = watch::Sender::new(Way::Open);
        let taken = Arc::<AtomicUsize>::default();
        let (stalled_below, lost) = (watch::Sender::new(0), Lost::default());
        let course =
            Course { way: way.subscribe(), stalled_below: stalled_below.subscribe(), lost: lost.clone(), number: 0 };
        let serving = tokio::spawn(serve(listener, target, course, taken.clone()));
        Self { port, way, taken, stalled_below, lost, serving }
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// How many connections it has taken so far.
    pub fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }

    /// Stalls the connections that there are, for good; new ones pass.
    pub fn stall_present(&self) {
        self.stalled_below.send_replace(self.taken());
    }

    /// Loses one answer: the next message that has these bytes in it arrives, and its connection breaks when the server
    /// answers.
    pub fn lose_answer_to(&self, part: &[u8]) {
        *self.lost.lock().unwrap_or_else(PoisonError::into_inner) = Some(part.to_vec());
    }

    /// Whether the answer that was to be lost still waits for its message.
    pub fn has_to_lose(&self) -> bool {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Changes the way for all connections, old and new.
    pub fn set(&self, way: Way) {
        self.way.send_replace(way);
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(listener: TcpListener, target: SocketAddr, course: Course, taken: Arc<AtomicUsize>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((client, _)) = accepted {
                    let number = taken.fetch_add(1, Ordering::Relaxed);
                    connections.spawn(carry(client, target, Course { number, ..course.clone() }));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// What a connection goes through.
#[derive(Clone)]
struct Course {
    way: watch::Receiver<Way>,
    stalled_below: watch::Receiver<usize>,
    lost: Lost,
    number: usize,
}

async fn carry(client: TcpStream, target: SocketAddr, mut course: Course) {
    let mut cut = course.way.clone();
    let through = async {
        course.may_pass().await;
        let Ok(server) = TcpStream::connect(target).await else { return };
        // Small messages must not wait for each other's acknowledgement here.
        let _ = (client.set_nodelay(true), server.set_nodelay(true));
        let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
        let (doomed, broken) = (AtomicBool::new(false), Notify::new());
        let ask = |message: &[u8]| {
            if is_to_be_lost(&course.lost, message) {
                doomed.store(true, Ordering::Relaxed);
            }
            true
        };
        let answer = |_: &[u8]| {
            let goes_on = !doomed.load(Ordering::Relaxed);
            if !goes_on {
                broken.notify_one();
            }
            goes_on
        };
        let asking = pump(from_client, to_server, course.clone(), ask);
        let answering = pump(from_server, to_client, course.clone(), answer);
        tokio::select! {
            biased;
            () = broken.notified() => {}
            _ = async { tokio::join!(asking, answering) } => {}
        }
    };
    tokio::select! {
        () = through => {}
        _ = cut.wait_for(|way| *way == Way::Cut) => {}
    }
}

/// Whether this is the message whose answer is to be lost. Only one is.
fn is_to_be_lost(lost: &Lost, message: &[u8]) -> bool {
    let mut lost = lost.lock().unwrap_or_else(PoisonError::into_inner);
    let found = lost.as_deref().is_some_and(|part| message.windows(part.len()).any(|window| window == part));
    if found {
        *lost = None;
    }
    found
}

/// Carries one direction to its end, which the other side is told. A piece that `passes` refuses is not carried.
async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut course: Course, passes: impl Fn(&[u8]) -> bool) {
    let mut chunk = vec![0; CHUNK];
    while let Ok(length @ 1..) = from.read(&mut chunk).await {
        course.may_pass().await;
        if !passes(&chunk[..length]) {
            return;
        }
        if to.write_all(&chunk[..length]).await.is_err() {
            return;
        }
    }
    // The other side may be gone already.
    let _ = to.shutdown().await;
}

impl Course {
    /// Waits as long as the way demands.
    async fn may_pass(&mut self) {
        let number = self.number;
        // The proxy is gone when this fails, and so is the connection.
        let _ = self.stalled_below.wait_for(|below| number >= *below).await;
        let open = self.way.wait_for(|way| *way != Way::Stalled).await.map(|way| *way);
        if let Ok(Way::Slow(delay)) = open {
            pause(delay).await;
        }
    }
}
