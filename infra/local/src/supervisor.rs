//! The task which owns a server's process: carries out what is asked, and restarts the server when it dies.

use std::sync::Arc;
use std::time::Duration;

use rustix::process::Signal;
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep;

use crate::data_dir::Lock;
use crate::error::LocalError;
use crate::log;
use crate::process::Process;
use crate::program::Program;

const FIRST_DELAY: Duration = Duration::from_millis(100);
const LONGEST_DELAY: Duration = Duration::from_secs(5);
const SETTLED: Duration = Duration::from_secs(30);

/// What can be asked of a server.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Order {
    Start,
    Stop,
    Kill,
    Crash,
    Signal(Signal),
}

pub(crate) type Request = (Order, oneshot::Sender<Result<(), LocalError>>);

/// Looks after one server until nobody holds its handle.
#[derive(Debug)]
pub(crate) struct Supervisor {
    program: Program,
    requests: mpsc::Receiver<Request>,
    process: Option<Process>,
    /// How long to wait before the next restart; `None` while the server is meant to be down.
    delay: Option<Duration>,
    /// The data folder stays owned while a server may still write to it.
    _lock: Arc<Lock>,
}

enum Event {
    Asked(Request),
    Released,
    Died(String),
    RestartDue,
    Settled,
}

impl Supervisor {
    pub(crate) fn new(program: Program, requests: mpsc::Receiver<Request>, lock: Arc<Lock>) -> Self {
        Supervisor { program, requests, process: None, delay: None, _lock: lock }
    }

    pub(crate) async fn run(mut self) {
        loop {
            match self.next().await {
                Event::Asked((order, reply)) => {
                    // Whoever asked may have lost interest.
                    let _ = reply.send(self.obey(order).await);
                }
                Event::Died(status) => self.note_death(&status),
                Event::RestartDue => self.restart(),
                Event::Settled => self.delay = Some(FIRST_DELAY),
                Event::Released => break,
            }
        }
        if let Err(error) = self.stop().await {
            tracing::error!(%error, "a server did not stop");
        }
    }

    async fn next(&mut self) -> Event {
        let running = self.process.is_some();
        let due = self.delay.filter(|_| !running);
        let unsettled = running && self.delay > Some(FIRST_DELAY);
        tokio::select! {
            request = self.requests.recv() => request.map_or(Event::Released, Event::Asked),
            status = ended(&mut self.process), if running => Event::Died(status),
            () = sleep(due.unwrap_or_default()), if due.is_some() => Event::RestartDue,
            () = sleep(SETTLED), if unsettled => Event::Settled,
        }
    }

    async fn obey(&mut self, order: Order) -> Result<(), LocalError> {
        match order {
            Order::Start => self.start().await,
            Order::Stop => self.stop().await,
            Order::Kill => self.kill().await,
            Order::Crash => self.crash().await,
            Order::Signal(signal) => self.signal(signal),
        }
    }

    async fn start(&mut self) -> Result<(), LocalError> {
        if self.process.is_none() {
            self.spawn()?;
        }
        let ready = tokio::select! {
            ready = self.program.ready() => ready,
            status = ended(&mut self.process) => Err(format!("ended with {status}")),
        };
        match ready {
            Ok(()) => self.delay = Some(FIRST_DELAY),
            Err(reason) => return Err(self.give_up(reason).await),
        }
        Ok(())
    }

    async fn give_up(&mut self, reason: String) -> LocalError {
        let log = log::tail(&self.program.log());
        let _ = self.kill().await;
        LocalError::NotReady { server: self.program.kind.name(), reason, log }
    }

    async fn stop(&mut self) -> Result<(), LocalError> {
        self.delay = None;
        let Some(process) = self.process.take() else { return Ok(()) };
        process.stop().await.map_err(|source| self.unreachable(source))
    }

    async fn kill(&mut self) -> Result<(), LocalError> {
        self.delay = None;
        let Some(process) = self.process.take() else { return Ok(()) };
        process.kill().await.map_err(|source| self.unreachable(source))
    }

    async fn crash(&mut self) -> Result<(), LocalError> {
        let process = self.process.take().ok_or(LocalError::NotRunning(self.program.kind.name()))?;
        process.kill().await.map_err(|source| self.unreachable(source))
    }

    fn signal(&self, signal: Signal) -> Result<(), LocalError> {
        let process = self.process.as_ref().ok_or(LocalError::NotRunning(self.program.kind.name()))?;
        process.signal(signal).map_err(|source| self.unreachable(source))
    }

    fn note_death(&mut self, status: &str) {
        let log = log::tail(&self.program.log());
        tracing::error!(server = self.program.kind.name(), status, log, "a server died and is started again");
        self.process = None;
    }

    fn restart(&mut self) {
        self.delay = self.delay.map(|delay| (delay * 2).min(LONGEST_DELAY));
        if let Err(error) = self.spawn() {
            tracing::error!(%error, "a server could not be started again");
        }
    }

    fn spawn(&mut self) -> Result<(), LocalError> {
        self.process = Some(Process::spawn(&self.program)?);
        Ok(())
    }

    fn unreachable(&self, source: std::io::Error) -> LocalError {
        LocalError::Signal { server: self.program.kind.name(), source }
    }
}

/// How the process ended; never, while there is none.
async fn ended(process: &mut Option<Process>) -> String {
    match process {
        Some(process) => process.ended().await,
        None => std::future::pending().await,
    }
}
