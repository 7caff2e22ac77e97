//! The ticket page against a bare handler that serves the same bytes, in turns.

use std::process::Stdio;

use tempfile::NamedTempFile;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use super::visits::{Look, latencies};
use crate::Result;
use crate::bare::Page;
use crate::http::{Answer, Call, Connection};
use crate::load::{Timed, Until, closed, span};
use crate::platform::ticket_page;
use crate::report::{Outcome, Row};
use crate::run::Bench;
use crate::stats::{median, rate};

const ROUNDS: usize = 3;
const READERS: usize = 64;

/// A way to ask for the page.
struct Variant {
    name: &'static str,
    call: Call,
    /// What Docket answers.
    answer: Answer,
}

pub(super) async fn run(bench: &Bench<'_>) -> Result<Outcome> {
    let mut outcome = Outcome::new("read");
    for variant in variants(bench).await? {
        outcome = compare(bench, &variant, outcome).await?;
    }
    Ok(outcome)
}

/// Plain, and what else Docket offers: compressed, and not modified.
async fn variants(bench: &Bench<'_>) -> Result<Vec<Variant>> {
    let plain = ticket_page(bench.listings(1, 1_000).await?[0]);
    let mut connection = Connection::to(bench.platform.address);
    let answer = connection.send(&plain).await?;
    let tag = answer.header("etag");
    let mut variants = vec![Variant { name: "plain", call: plain.clone(), answer }];
    let mut others = vec![("gzip", "accept-encoding", "gzip".to_owned()), ("br", "accept-encoding", "br".to_owned())];
    others.extend(tag.map(|tag| ("304", "if-none-match", tag)));
    for (name, header, value) in others {
        let call = plain.clone().with(header, &value);
        let answer = connection.send(&call).await?;
        if offered(name, &answer) {
            variants.push(Variant { name, call, answer });
        }
    }
    Ok(variants)
}

fn offered(name: &str, answer: &Answer) -> bool {
    answer.header("content-encoding").as_deref() == Some(name) || answer.status.to_string() == name
}

async fn compare(bench: &Bench<'_>, variant: &Variant, outcome: Outcome) -> Result<Outcome> {
    let bare = Bare::start(&variant.answer).await?;
    let (mut docket, mut beside) = (Series::default(), Series::default());
    for _ in 0..ROUNDS {
        docket.add(round(bench, bench.platform.address, variant).await?);
        beside.add(round(bench, bare.address, variant).await?);
    }
    bare.stop().await?;
    let ratio = median(docket.rates.clone()) / median(beside.rates.clone());
    let status = variant.answer.status;
    let wrong = docket.wrong(status) + beside.wrong(status);
    let name = variant.name;
    let outcome = outcome.row(docket.row(&format!("{name}, Docket"))).row(beside.row(&format!("{name}, bare")));
    let outcome = outcome.figure(name, ratio);
    Ok(if wrong == 0 { outcome } else { outcome.violation(format!("{wrong} reads were not answered with {status}")) })
}

async fn round(bench: &Bench<'_>, address: std::net::SocketAddr, variant: &Variant) -> Result<Vec<Timed<u16>>> {
    closed(address, READERS, Until::Elapsed(bench.sizes.length()), Look(variant.call.clone())).await
}

/// The rounds of one server.
#[derive(Default)]
struct Series {
    rates: Vec<f64>,
    visits: Vec<Timed<u16>>,
}

impl Series {
    fn add(&mut self, visits: Vec<Timed<u16>>) {
        self.rates.push(rate(visits.len(), span(&visits)));
        self.visits.extend(visits);
    }

    fn wrong(&self, status: u16) -> usize {
        self.visits.iter().filter(|visit| visit.outcome != status).count()
    }

    fn row(&self, step: &str) -> Row {
        let latencies = latencies(&self.visits, |_| true);
        Row { rate: median(self.rates.clone()), ..Row::new(step, self.visits.len(), span(&self.visits), latencies) }
    }
}

/// The bare handler in a process of its own.
struct Bare {
    child: Child,
    address: std::net::SocketAddr,
    _page: NamedTempFile,
}

impl Bare {
    async fn start(answer: &Answer) -> Result<Self> {
        let page = NamedTempFile::new()?;
        serde_json::to_writer(page.as_file(), &page_of(answer))?;
        let mut command = Command::new(std::env::current_exe()?);
        let mut child = command.arg("bare").arg(page.path()).stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().ok_or("no output")?).read_line(&mut line).await?;
        Ok(Self { child, address: line.trim().parse()?, _page: page })
    }

    async fn stop(mut self) -> Result {
        Ok(self.child.kill().await?)
    }
}

/// What the transport adds is added by the bare handler's server as well.
fn page_of(answer: &Answer) -> Page {
    const OF_TRANSPORT: [&str; 3] = ["date", "content-length", "connection"];
    let mut headers = answer.headers();
    headers.retain(|(name, _)| !OF_TRANSPORT.iter().any(|added| added.eq_ignore_ascii_case(name)));
    Page { status: answer.status, headers, body: answer.body.to_vec() }
}
