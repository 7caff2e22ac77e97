//! A real mongod, of which the rendered keeper makes a replica set with users: each may use its own database, and no other.

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::Result;
use crate::run::announce;

/// How often the keeper is run until it has nothing to do any more; a run takes about a second.
const RUNS: u32 = 30;

/// Its last line.
const DONE: &str = "done";

/// A keyfile's text is base64.
const KEY: &str = "YSBrZXkgdGhhdCBvcGVucyBub3RoaW5n";

/// Tries what the users may.
const ATTEMPTS: &str = include_str!("keeper.js");

/// A database whose members know each other by a key.
pub(super) struct Kept<'k> {
    process: Child,
    folder: &'k Path,
    mongosh: &'k Path,
    address: String,
}

impl<'k> Kept<'k> {
    /// Starts `mongod` in `folder`, which must be there, with users for `services`.
    ///
    /// # Errors
    /// If it cannot be started.
    pub(super) fn start(
        mongod: &Path,
        mongosh: &'k Path,
        folder: &'k Path,
        services: &BTreeSet<String>,
    ) -> Result<Self> {
        let data = folder.join("mongodb");
        if data.exists() {
            fs::remove_dir_all(&data)?;
        }
        fs::create_dir_all(data.join("users"))?;
        fs::create_dir_all(data.join("db"))?;
        fs::write(data.join("key"), KEY)?;
        fs::set_permissions(data.join("key"), Permissions::from_mode(0o400))?;
        for user in services.iter().map(String::as_str).chain(["root"]) {
            fs::write(data.join("users").join(user), format!("p{user}"))?;
        }
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port().to_string();
        let mut command = Command::new(mongod);
        command.args(["--replSet=docket", "--bind_ip=127.0.0.1", "--nounixsocket", "--wiredTigerCacheSizeGB=0.25"]);
        command.args(["--quiet", "--port", &port]).arg("--keyFile").arg(data.join("key"));
        command.arg("--dbpath").arg(data.join("db")).arg("--logpath").arg(data.join("log"));
        announce(&command);
        let process = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?;
        Ok(Self { process, folder, mongosh, address: format!("127.0.0.1:{port}") })
    }

    /// Runs the keeper until it is content, then tries what its users may.
    ///
    /// # Errors
    /// If the keeper never is, or an attempt ends otherwise than allowed or refused.
    pub(super) fn findings(&self, keeper: &str) -> Result<Vec<String>> {
        let keeper = self.script("keep.js", keeper)?;
        let mut said = String::new();
        for run in 0..RUNS {
            said = self.run(&keeper)?;
            if said.is_empty() && run > 1 {
                let tried = self.run(&self.script("attempts.js", ATTEMPTS)?)?;
                return findings(&tried);
            }
        }
        Err(format!("the keeper of MongoDB is not content: {said}").into())
    }

    fn script(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.folder.join("mongodb").join(name);
        fs::write(&path, text)?;
        Ok(path)
    }

    /// What a script printed, both to the output and to the errors.
    fn run(&self, script: &Path) -> Result<String> {
        let home = self.folder.join("mongodb");
        let mut command = Command::new(self.mongosh);
        command.args(["--quiet", "--nodb"]).arg(script).stdin(Stdio::null());
        command.env("HOME", &home).env("USERS", home.join("users"));
        command.env("SELF", &self.address).env("MEMBERS", format!("mongodb://{}", self.address));
        let output = command.output()?;
        let said = [output.stdout, output.stderr].concat();
        Ok(String::from_utf8_lossy(&said).trim().to_owned())
    }
}

impl Drop for Kept<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.process.kill().and_then(|()| self.process.wait()) {
            eprintln!("mongod was not stopped: {error}");
        }
    }
}

/// Every line but the last, which must be there: without it the attempts have not come to their end.
fn findings(tried: &str) -> Result<Vec<String>> {
    let mut lines: Vec<String> = tried.lines().map(str::to_owned).collect();
    match lines.pop() {
        Some(last) if last == DONE => Ok(lines.into_iter().map(|line| format!("MongoDB: {line}")).collect()),
        _ => Err(format!("what MongoDB's users may could not be tried: {tried}").into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_that_were_not_finished_find_nothing() {
        assert!(findings("").is_err());
        assert!(findings("MongoServerError: not primary").is_err());
        assert!(findings("done").unwrap().is_empty());
        assert_eq!(findings("orders may make users\ndone").unwrap(), ["MongoDB: orders may make users"]);
    }
}
