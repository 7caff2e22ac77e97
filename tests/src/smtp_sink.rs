//! A mail server that keeps what it is sent: the few commands of RFC 5321 that a client needs to get rid of a mail. The servers
//! there are crates for are no longer looked after.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A mail as the server got it.
#[derive(Clone, Debug)]
pub struct SmtpMail {
    /// Whom it is for, by the envelope.
    pub to: String,
    /// The message with its headers.
    pub message: String,
}

/// The server; it stops when it is dropped.
pub struct SmtpSink {
    address: SocketAddr,
    mails: Arc<Mutex<Vec<SmtpMail>>>,
    serving: JoinHandle<()>,
}

impl SmtpSink {
    /// Listens at `address`. The first `refused` recipients are told to come again later, as greylisting servers do.
    ///
    /// # Panics
    /// If the port is taken.
    pub async fn listen(address: SocketAddr, refused: usize) -> Self {
        let listener = TcpListener::bind(address).await.expect("the port is free");
        let address = listener.local_addr().expect("a bound port has an address");
        let mails = Arc::<Mutex<Vec<SmtpMail>>>::default();
        let desk = Desk { mails: mails.clone(), refusals: Arc::new(Mutex::new(refused)) };
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(desk.clone().converse(stream));
            }
        });
        Self { address, mails, serving }
    }

    /// What to set `SMTP_URL` to.
    pub fn url(address: SocketAddr) -> String {
        format!("smtp://{address}")
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The mails for an address, the oldest first.
    pub fn mails_to(&self, address: &str) -> Vec<SmtpMail> {
        let mails = self.mails.lock().expect("no test panics while it holds this");
        mails.iter().filter(|mail| mail.to == address).cloned().collect()
    }
}

impl Drop for SmtpSink {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

#[derive(Clone)]
struct Desk {
    mails: Arc<Mutex<Vec<SmtpMail>>>,
    refusals: Arc<Mutex<usize>>,
}

impl Desk {
    async fn converse(self, stream: TcpStream) {
        // A client that hangs up ends the conversation; what it had not finished is not kept.
        let _ = self.answer_all(BufStream::new(stream)).await;
    }

    async fn answer_all(&self, mut stream: BufStream<TcpStream>) -> std::io::Result<()> {
        say(&mut stream, "220 sink").await?;
        let mut recipient = String::new();
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await? == 0 {
                return Ok(());
            }
            let line = line.trim_end();
            match line.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase().as_str() {
                "RCPT" if self.refuses() => say(&mut stream, "450 come again later").await?,
                "RCPT" => {
                    recipient = line.split(['<', '>']).nth(1).unwrap_or_default().to_owned();
                    say(&mut stream, "250 ok").await?;
                }
                "DATA" => {
                    say(&mut stream, "354 go on").await?;
                    let message = read_message(&mut stream).await?;
                    self.keep(SmtpMail { to: std::mem::take(&mut recipient), message });
                    say(&mut stream, "250 kept").await?;
                }
                "QUIT" => return say(&mut stream, "221 bye").await,
                "EHLO" | "HELO" | "MAIL" | "RSET" | "NOOP" => say(&mut stream, "250 ok").await?,
                _ => say(&mut stream, "502 not here").await?,
            }
        }
    }

    fn refuses(&self) -> bool {
        let mut left = self.refusals.lock().expect("no test panics while it holds this");
        let refuses = *left > 0;
        *left = left.saturating_sub(1);
        refuses
    }

    fn keep(&self, mail: SmtpMail) {
        self.mails.lock().expect("no test panics while it holds this").push(mail);
    }
}

async fn say(stream: &mut BufStream<TcpStream>, line: &str) -> std::io::Result<()> {
    stream.write_all(format!("{line}\r\n").as_bytes()).await?;
    stream.flush().await
}

/// Up to the line with nothing but a dot; a line that begins with a dot was given another one.
async fn read_message(stream: &mut BufStream<TcpStream>) -> std::io::Result<String> {
    let mut message = String::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        match line.strip_prefix('.') {
            Some("\r\n") => return Ok(message),
            Some(rest) => message.push_str(rest),
            None => message.push_str(&line),
        }
    }
}
