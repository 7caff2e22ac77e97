//! The handle of one running server.

use std::fs;
use std::sync::Arc;

use futures::future::join_all;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::data_dir::Lock;
use crate::error::{AboutFile, LocalError};
use crate::port;
use crate::program::Program;
use crate::supervisor::{Order, Request, Supervisor};

const PORT_ATTEMPTS: usize = 3;

/// One server. It keeps its port for as long as the handle lives, whatever happens to its process.
#[derive(Debug)]
pub struct Server {
    name: &'static str,
    url: String,
    port: u16,
    requests: mpsc::Sender<Request>,
    supervisor: JoinHandle<()>,
}

impl Server {
    /// Starts it on the port of last time, or on another one where that is taken.
    pub(crate) async fn launch(mut program: Program, lock: &Arc<Lock>) -> Result<Server, LocalError> {
        fs::create_dir_all(&program.home).about(&program.home)?;
        for attempt in 1.. {
            program.port = port::choose(&program.home);
            let server = Server::supervise(&program, lock);
            match server.start().await {
                Ok(()) => return server.remember_port(&program),
                // Another process was quicker to take the port.
                Err(_) if attempt < PORT_ATTEMPTS && !port::is_free(program.port) => server.shut_down().await,
                Err(error) => return Err(error),
            }
        }
        Err(LocalError::NotRunning(program.kind.name()))
    }

    fn supervise(program: &Program, lock: &Arc<Lock>) -> Server {
        let (requests, receiver) = mpsc::channel(1);
        let supervisor = Supervisor::new(program.clone(), receiver, Arc::clone(lock));
        Server {
            name: program.kind.name(),
            url: program.url(),
            port: program.port,
            requests,
            supervisor: tokio::spawn(supervisor.run()),
        }
    }

    fn remember_port(self, program: &Program) -> Result<Server, LocalError> {
        port::remember(&program.home, program.port)?;
        Ok(self)
    }

    /// Where clients connect.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The port it listens on, on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Starts it if it is down, and waits until clients can work with it.
    pub async fn start(&self) -> Result<(), LocalError> {
        self.ask(Order::Start).await
    }

    /// Stops it in an orderly way. It stays down until [`Server::start`].
    pub async fn stop(&self) -> Result<(), LocalError> {
        self.ask(Order::Stop).await
    }

    /// Kills it (SIGKILL). It stays down until [`Server::start`].
    pub async fn kill(&self) -> Result<(), LocalError> {
        self.ask(Order::Kill).await
    }

    /// Kills it (SIGKILL) as if it had crashed: it is started again soon. [`Server::start`] waits for that.
    pub async fn crash(&self) -> Result<(), LocalError> {
        self.ask(Order::Crash).await
    }

    /// Stops it in an orderly way as if it had ended by itself: it is started again soon. For one that cannot heal itself.
    pub async fn restart(&self) -> Result<(), LocalError> {
        self.ask(Order::Restart).await
    }

    /// Freezes it (SIGSTOP): its connections stay open, and nothing answers.
    pub async fn pause(&self) -> Result<(), LocalError> {
        self.ask(Order::Freeze).await
    }

    /// Lets it go on after [`Server::pause`].
    pub async fn resume(&self) -> Result<(), LocalError> {
        self.ask(Order::Thaw).await
    }

    /// Stops it for good, and waits until the data folder is free.
    pub(crate) async fn shut_down(self) {
        drop(self.requests);
        if let Err(error) = self.supervisor.await {
            tracing::error!(%error, server = self.name, "its supervisor failed");
        }
    }

    async fn ask(&self, order: Order) -> Result<(), LocalError> {
        let (reply, answer) = oneshot::channel();
        let abandoned = || LocalError::Abandoned(self.name);
        self.requests.send((order, reply)).await.map_err(|_| abandoned())?;
        answer.await.map_err(|_| abandoned())?
    }
}

/// Starts all of them, or none.
pub(crate) async fn launch_all(programs: Vec<Program>, lock: &Arc<Lock>) -> Result<Vec<Server>, LocalError> {
    let launched = join_all(programs.into_iter().map(|program| Server::launch(program, lock))).await;
    let (mut servers, mut failed) = (Vec::with_capacity(launched.len()), None);
    for server in launched {
        match server {
            Ok(server) => servers.push(server),
            Err(error) => failed = Some(error),
        }
    }
    let Some(error) = failed else { return Ok(servers) };
    join_all(servers.into_iter().map(Server::shut_down)).await;
    Err(error)
}
