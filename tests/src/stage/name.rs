//! A name by which the pods of a set are called: it stays while the pod behind it goes and comes back at another address.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// A port of this machine that leads to a pod, or to none.
pub(super) struct Name {
    port: u16,
    leads_to: watch::Sender<Option<SocketAddr>>,
    _serving: JoinSet<()>,
}

impl Name {
    /// A name that leads nowhere yet.
    pub(super) async fn new() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("loopback has a free port");
        let port = listener.local_addr().expect("a bound port has an address").port();
        let leads_to = watch::Sender::new(None);
        let mut serving = JoinSet::new();
        serving.spawn(serve(listener, leads_to.subscribe()));
        Self { port, leads_to, _serving: serving }
    }

    /// What stands for the name on this machine.
    pub(super) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// From now on it leads there, or nowhere; what went through it ends.
    pub(super) fn lead_to(&self, address: Option<&str>) {
        let address = address.map(|address| address.parse().expect("an address of this machine"));
        self.leads_to.send_replace(address);
    }
}

async fn serve(listener: TcpListener, leads_to: watch::Receiver<Option<SocketAddr>>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((caller, _)) = listener.accept().await else { continue };
        connections.spawn(lead(caller, leads_to.clone()));
        while connections.try_join_next().is_some() {}
    }
}

async fn lead(mut caller: TcpStream, mut leads_to: watch::Receiver<Option<SocketAddr>>) {
    let Some(address) = *leads_to.borrow_and_update() else { return };
    let Ok(mut pod) = TcpStream::connect(address).await else { return };
    tokio::select! {
        _ = copy_bidirectional(&mut caller, &mut pod) => {}
        _ = leads_to.changed() => {}
    }
}
