//! A TCP proxy in front of a server: it can cut, stall and slow what goes through it, and lose answers after the work was done.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
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
    losing: Arc<Mutex<Losing>>,
    felt: Arc<AtomicUsize>,
    serving: JoinHandle<()>,
}

/// Which answers are to be lost: those to the next messages that have one of these parts.
#[derive(Debug, Default)]
struct Losing {
    parts: Vec<Vec<u8>>,
    left: usize,
    lost: usize,
}

impl Losing {
    /// Whether the answer to this message is to be lost; it counts as lost then.
    fn takes(&mut self, message: &[u8]) -> bool {
        let has = |part: &Vec<u8>| message.windows(part.len()).any(|window| window == part);
        let takes = self.left > 0 && self.parts.iter().any(has);
        if takes {
            self.left -= 1;
            self.lost += 1;
        }
        takes
    }
}

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
        let stalled_below = watch::Sender::new(0);
        let (losing, felt) = (Arc::<Mutex<Losing>>::default(), Arc::<AtomicUsize>::default());
        let course = Course {
            way: way.subscribe(),
            stalled_below: stalled_below.subscribe(),
            losing: losing.clone(),
            felt: felt.clone(),
            number: 0,
        };
        let serving = tokio::spawn(serve(listener, target, course, taken.clone()));
        Self { port, way, taken, stalled_below, losing, felt, serving }
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
        self.lose_answers_to(&[part], 1);
    }

    /// Loses so many answers, to messages that have one of these parts in them.
    pub fn lose_answers_to(&self, parts: &[&[u8]], count: usize) {
        let mut losing = self.losing();
        losing.parts = parts.iter().map(|part| part.to_vec()).collect();
        losing.left = count;
    }

    /// Whether answers that were to be lost still wait for their messages.
    pub fn has_to_lose(&self) -> bool {
        self.losing().left > 0
    }

    /// How many messages have arrived whose answers were to be lost.
    pub fn lost(&self) -> usize {
        self.losing().lost
    }

    /// How many connections were cut, and pieces held back or slowed.
    pub fn felt(&self) -> usize {
        self.felt.load(Ordering::Relaxed)
    }

    fn losing(&self) -> MutexGuard<'_, Losing> {
        self.losing.lock().unwrap_or_else(PoisonError::into_inner)
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
    losing: Arc<Mutex<Losing>>,
    felt: Arc<AtomicUsize>,
    number: usize,
}

async fn carry(client: TcpStream, target: SocketAddr, mut course: Course) {
    let (mut cut, felt) = (course.way.clone(), course.felt.clone());
    let through = async {
        course.may_pass().await;
        let Ok(server) = TcpStream::connect(target).await else { return };
        // Small messages must not wait for each other's acknowledgement here.
        let _ = (client.set_nodelay(true), server.set_nodelay(true));
        let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
        let (doomed, broken) = (AtomicBool::new(false), Notify::new());
        let ask = |message: &[u8]| {
            if course.losing.lock().unwrap_or_else(PoisonError::into_inner).takes(message) {
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
        Ok(_) = cut.wait_for(|way| *way == Way::Cut) => {
            felt.fetch_add(1, Ordering::Relaxed);
        }
    }
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
        if number < *self.stalled_below.borrow() || matches!(*self.way.borrow(), Way::Stalled | Way::Slow(_)) {
            self.felt.fetch_add(1, Ordering::Relaxed);
        }
        // The proxy is gone when this fails, and so is the connection.
        let _ = self.stalled_below.wait_for(|below| number >= *below).await;
        let open = self.way.wait_for(|way| *way != Way::Stalled).await.map(|way| *way);
        if let Ok(Way::Slow(delay)) = open {
            pause(delay).await;
        }
    }
}
