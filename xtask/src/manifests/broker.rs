//! A real nats-server with the rendered users: each may do what its service does, and nothing of what others do.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use super::rules::Rights;
use crate::Result;
use crate::run::announce;

/// Where the server keeps its data on a cluster.
const VOLUME: &str = "store_dir: /data";

/// How often, and with which pause, a server that starts is looked at.
const LOOKS: u32 = 200;
const PAUSE: Duration = Duration::from_millis(50);

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// A server that is stopped when this is dropped.
pub(super) struct Broker {
    process: Child,
    address: String,
}

impl Broker {
    /// Starts it on any free port, with the configuration in `folder`; `command` has its passwords.
    ///
    /// # Errors
    /// If it does not listen in time.
    pub(super) fn start(mut command: Command, folder: &Path) -> Result<Self> {
        let data = folder.join("data");
        if data.exists() {
            fs::remove_dir_all(&data)?;
        }
        fs::create_dir_all(&data)?;
        let here = folder.join("here.conf");
        let configured = fs::read_to_string(folder.join("nats.conf"))?;
        fs::write(&here, configured.replace(VOLUME, &format!("store_dir: {data:?}")))?;
        command.arg("--config").arg(here);
        command.args(["--addr", "127.0.0.1", "--port", "-1", "--http_port", "-1"]);
        command.arg("--pid").arg(data.join("pid")).arg("--ports_file_dir").arg(&data);
        command.arg("--log").arg(data.join("log"));
        announce(&command);
        let mut process = command.stdin(Stdio::null()).spawn()?;
        for _ in 0..LOOKS {
            if let Some(address) = address_in(&data) {
                return Ok(Self { process, address });
            }
            pause();
        }
        process.kill()?;
        Err(format!("nats-server did not start: {}", fs::read_to_string(data.join("log")).unwrap_or_default()).into())
    }

    /// What a user may that it should not, and may not what it should.
    ///
    /// # Errors
    /// If the server does not answer.
    pub(super) fn findings(&self, user: &str, password: &str, rights: &Rights) -> Result<Vec<String>> {
        let mut client = Client::connect(&self.address, user, password)?;
        let mut found = Vec::new();
        for subject in &rights.publishes {
            if !client.may(&format!("PUB {subject} 0\r\n\r\n"))? {
                found.push(format!("NATS refuses that {user} publishes to {subject}"));
            }
        }
        for subject in &rights.others {
            if client.may(&format!("PUB {subject} 0\r\n\r\n"))? {
                found.push(format!("NATS lets {user} publish to {subject}, which is not its own"));
            }
        }
        if !client.may(&format!("SUB {} 1\r\n", rights.hears))? {
            found.push(format!("NATS refuses that {user} hears {}", rights.hears));
        }
        for subject in &rights.unheard {
            if client.may(&format!("SUB {subject} 2\r\n"))? {
                found.push(format!("NATS lets {user} hear {subject}"));
            }
        }
        Ok(found)
    }

    /// Whether somebody without the password is let in.
    pub(super) fn lets_in(&self, user: &str, password: &str) -> bool {
        Client::connect(&self.address, user, password).is_ok()
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Err(error) = self.process.kill().and_then(|()| self.process.wait()) {
            eprintln!("nats-server was not stopped: {error}");
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "no executor runs here")]
fn pause() {
    std::thread::sleep(PAUSE);
}

/// The server writes where it listens into a file.
fn address_in(folder: &Path) -> Option<String> {
    let mut files = fs::read_dir(folder).ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    let file = files.find(|file| file.extension().is_some_and(|end| end == "ports"))?;
    let ports: Value = serde_json::from_str(&fs::read_to_string(file).ok()?).ok()?;
    Some(ports["nats"][0].as_str()?.trim_start_matches("nats://").to_owned())
}

/// A client that sends lines of NATS's protocol, and sees which are refused.
struct Client(BufReader<TcpStream>);

impl Client {
    fn connect(address: &str, user: &str, password: &str) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut client = Self(BufReader::new(stream));
        client.0.read_line(&mut String::new())?;
        let options = serde_json::json!({ "verbose": false, "pedantic": false, "user": user, "pass": password });
        if client.may(&format!("CONNECT {options}\r\n"))? { Ok(client) } else { Err("refused".into()) }
    }

    /// Sends something, and reads until the server has answered what was sent after it.
    fn may(&mut self, sent: &str) -> Result<bool> {
        self.0.get_mut().write_all(format!("{sent}PING\r\n").as_bytes())?;
        let mut allowed = true;
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line)? == 0 {
                return Err("the connection was closed".into());
            }
            match line.trim_end() {
                "PONG" => return Ok(allowed),
                "PING" => self.0.get_mut().write_all(b"PONG\r\n")?,
                line if line.starts_with("-ERR") => allowed = false,
                _ => {}
            }
        }
    }
}
