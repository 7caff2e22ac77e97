//! The task which owns a server's process: carries out what is asked, and restarts the server when it dies or hangs.
//!
//! A server that is meant to run is started again whenever it has ended, with waits that grow from 100 ms to 5 s, for as long
//! as that takes: mongod ends at once while its disk is full, and is back by itself when there is room. A server that has
//! answered since its start, and then not for the patience of its program, is killed and started again, unless it was frozen
//! on purpose. One that has not answered yet is left alone: it may have a long journal to read.

use std::sync::Arc;
use std::time::Duration;

use rustix::process::Signal;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep, timeout};

use crate::data_dir::Lock;
use crate::error::LocalError;
use crate::log;
use crate::process::Process;
use crate::program::Program;

const FIRST_DELAY: Duration = Duration::from_millis(100);
const LONGEST_DELAY: Duration = Duration::from_secs(5);

/// How often a running server is asked within the patience with it, and after how many answers its next start needs no wait.
const LOOKS: u32 = 6;
const SETTLED: u32 = 3;

/// What can be asked of a server.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Order {
    Start,
    Stop,
    Kill,
    Crash,
    Restart,
    Freeze,
    Thaw,
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
    /// How often the running server has answered, and how often it has not since it last did.
    answered: u32,
    unanswered: u32,
    /// Frozen on purpose.
    frozen: bool,
    /// The data folder stays owned while a server may still write to it.
    _lock: Arc<Lock>,
}

enum Event {
    Asked(Request),
    Released,
    Died(String),
    RestartDue,
    Answered(bool),
}

impl Supervisor {
    pub(crate) fn new(program: Program, requests: mpsc::Receiver<Request>, lock: Arc<Lock>) -> Self {
        Supervisor {
            program,
            requests,
            process: None,
            delay: None,
            answered: 0,
            unanswered: 0,
            frozen: false,
            _lock: lock,
        }
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
                Event::Answered(answered) => self.note_answer(answered).await,
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
        let watched = running && self.delay.is_some() && !self.frozen;
        tokio::select! {
            request = self.requests.recv() => request.map_or(Event::Released, Event::Asked),
            status = ended(&mut self.process), if running => Event::Died(status),
            () = sleep(due.unwrap_or_default()), if due.is_some() => Event::RestartDue,
            answered = look(&self.program), if watched => Event::Answered(answered),
        }
    }

    async fn obey(&mut self, order: Order) -> Result<(), LocalError> {
        match order {
            Order::Start => self.start().await,
            Order::Stop => self.stop().await,
            Order::Kill => self.kill().await,
            Order::Crash => self.crash().await,
            Order::Restart => self.begin_anew().await,
            Order::Freeze => self.signal(Signal::STOP).map(|()| self.frozen = true),
            Order::Thaw => self.signal(Signal::CONT).map(|()| self.frozen = false),
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
            Ok(()) => (self.delay, self.answered) = (Some(FIRST_DELAY), 1),
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

    /// Ends the process in an orderly way; it is started again soon.
    async fn begin_anew(&mut self) -> Result<(), LocalError> {
        let process = self.process.take().ok_or(LocalError::NotRunning(self.program.kind.name()))?;
        self.delay.get_or_insert(FIRST_DELAY);
        process.stop().await.map_err(|source| self.unreachable(source))
    }

    /// A server that hangs for too long does not heal itself.
    async fn note_answer(&mut self, answered: bool) {
        if answered {
            (self.answered, self.unanswered) = (self.answered.saturating_add(1), 0);
            if self.answered == SETTLED {
                self.delay = Some(FIRST_DELAY);
            }
            return;
        }
        self.unanswered += u32::from(self.answered > 0);
        if self.unanswered < LOOKS {
            return;
        }
        self.unanswered = 0;
        let (server, patience) = (self.program.kind.name(), self.program.patience);
        tracing::error!(server, ?patience, "a server has not answered for long and is started again");
        if let Some(process) = self.process.take()
            && let Err(error) = process.kill().await
        {
            tracing::error!(%error, server, "a server that hangs cannot be killed");
        }
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
        (self.answered, self.unanswered, self.frozen) = (0, 0, false);
        Ok(())
    }

    fn unreachable(&self, source: std::io::Error) -> LocalError {
        LocalError::Signal { server: self.program.kind.name(), source }
    }
}

/// Waits for the next look, and answers whether the server answered it.
async fn look(program: &Program) -> bool {
    let every = program.patience / LOOKS;
    sleep(every / 2).await;
    let begun = timeout(every / 2, program.answers()).await;
    begun.unwrap_or(false)
}

/// How the process ended; never, while there is none.
async fn ended(process: &mut Option<Process>) -> String {
    match process {
        Some(process) => process.ended().await,
        None => std::future::pending().await,
    }
}
