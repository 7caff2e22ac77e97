//! The machine that the figures come from.

use std::fs;
use std::path::Path;
use std::process::Command;

use bson::doc;
use mongodb::Client;
use serde::Serialize;

use crate::Result;
use crate::docket::Pids;

/// What a reader must know to compare.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Machine {
    cpu: String,
    cores: usize,
    memory_gib: f64,
    kernel: String,
    mongod: String,
    nats_server: String,
}

impl Machine {
    /// This one, with the servers that run.
    pub(crate) async fn look(client: &Client, pids: Pids) -> Result<Self> {
        let build = client.database("admin").run_command(doc! { "buildInfo": 1 }).await?;
        Ok(Self {
            cpu: field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown".to_owned()),
            cores: std::thread::available_parallelism()?.get(),
            memory_gib: memory_kib().unwrap_or(0) as f64 / 1024.0 / 1024.0,
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")?.trim().to_owned(),
            mongod: build.get_str("version")?.to_owned(),
            nats_server: version(Path::new(&format!("/proc/{}/exe", pids.nats)))?,
        })
    }
}

impl std::fmt::Display for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { cpu, cores, memory_gib, kernel, mongod, nats_server } = self;
        write!(f, "{cpu}, {cores} cores, {memory_gib:.1} GiB, Linux {kernel}, mongod {mongod}, {nats_server}")
    }
}

fn field(file: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn memory_kib() -> Option<u64> {
    field("/proc/meminfo", "MemTotal")?.split_whitespace().next()?.parse().ok()
}

fn version(binary: &Path) -> Result<String> {
    let output = Command::new(binary).arg("--version").output()?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
