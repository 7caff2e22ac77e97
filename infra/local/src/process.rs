//! One child process: started, signalled, waited for.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::error::{AboutFile, LocalError};
use crate::log;
use crate::program::Program;
use crate::record::{Record, mark};

const STOP_LIMIT: Duration = Duration::from_secs(10);

/// A child which has not been reaped, so that its id is certainly still its own.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    home: PathBuf,
    _leash: Option<Child>,
}

impl Process {
    /// Starts `program` with its output in its log.
    pub(crate) fn spawn(program: &Program) -> Result<Process, LocalError> {
        let path = program.log();
        let output = log::create(&path)?;
        let mut command = program.command()?;
        mark(&mut command, &program.home)?;
        command.stdin(Stdio::null()).stdout(output.try_clone().about(path)?).stderr(output);
        let child = apart(command)?;
        let leash = secure(program, &child)?;
        Ok(Process { child, home: program.home.clone(), _leash: leash })
    }

    /// The process id, while it has not been reaped.
    pub(crate) fn pid(&self) -> Option<Pid> {
        pid(&self.child)
    }

    /// Sends a signal; a child that has ended already does not mind.
    pub(crate) fn signal(&self, signal: Signal) -> std::io::Result<()> {
        let Some(pid) = self.pid() else { return Ok(()) };
        kill_process(pid, signal).map_err(Into::into)
    }

    /// Waits for its end and says how it ended.
    pub(crate) async fn ended(&mut self) -> String {
        let ending = self.child.wait().await;
        Record::remove(&self.home);
        ending.map_or_else(|error| error.to_string(), |status| status.to_string())
    }

    /// Asks it to stop, and kills it when it takes too long.
    pub(crate) async fn stop(mut self) -> std::io::Result<()> {
        self.signal(Signal::TERM)?;
        self.signal(Signal::CONT)?;
        if timeout(STOP_LIMIT, self.ended()).await.is_err() {
            self.kill().await?;
        }
        Ok(())
    }

    /// Kills it.
    pub(crate) async fn kill(mut self) -> std::io::Result<()> {
        self.signal(Signal::KILL)?;
        self.ended().await;
        Ok(())
    }
}

/// Starts a command in a process group of its own: Ctrl-C in a terminal must reach Docket only, which stops its servers
/// last.
fn apart(mut command: Command) -> Result<Child, LocalError> {
    let child = command.process_group(0).kill_on_drop(true).spawn();
    child.about(command.as_std().get_program())
}

fn pid(child: &Child) -> Option<Pid> {
    Pid::from_raw(i32::try_from(child.id()?).ok()?)
}

/// Sees to it that the server is found again, or ends, should this process end without having stopped it.
fn secure(program: &Program, child: &Child) -> Result<Option<Child>, LocalError> {
    let Some(pid) = pid(child) else { return Ok(None) };
    Record::save(&program.home, pid)?;
    program.leashed.then(|| leash(pid)).transpose()
}

/// Kills `pid` when this process has ended: the shell waits for the end of a pipe which only this process holds open.
fn leash(pid: Pid) -> Result<Child, LocalError> {
    let mut shell = Command::new("sh");
    shell.args(["-c", "read -r _; kill -KILL \"$0\""]).arg(pid.to_string());
    shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    apart(shell)
}
