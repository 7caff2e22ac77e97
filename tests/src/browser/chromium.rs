//! The one Chromium of a test run, and the DevTools protocol over its pipe.
//!
//! Chromium reads commands from file 3 and writes answers and events to file 4, each ended by a zero byte. There is no
//! port that others could use, and when this process ends, however it ends, the pipe closes and Chromium ends too.

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, mpsc as blocking};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::{mpsc, oneshot};

use super::seen::Seen;

/// No command takes longer, unless the page hangs.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

const FLAGS: [&str; 15] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--disable-breakpad",
    // The pages of tests that run side by side are all in front.
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
];

/// Gives Chromium its two files, and an empty profile that is removed when Chromium has ended.
const SHELL: &str = r#"profile=$(mktemp -d) || exit
"$0" "$@" --user-data-dir="$profile" about:blank 3<&0 4>&1 >/dev/null
rm -rf "$profile""#;

type Answer = Result<Value, String>;

/// A running Chromium.
pub(super) struct Chromium {
    commands: mpsc::UnboundedSender<Vec<u8>>,
    state: Arc<Mutex<State>>,
    next: AtomicU64,
}

#[derive(Default)]
struct State {
    /// Who waits for the answer to which command.
    waiting: HashMap<u64, oneshot::Sender<Answer>>,
    /// What the pages saw, by session.
    pages: HashMap<String, Arc<Mutex<Seen>>>,
    /// The end of what Chromium has written to its standard error.
    log: String,
    ended: bool,
}

/// The Chromium of this process; it is started by the first who asks.
///
/// # Panics
/// If the tests were not started by `cargo xtask test`, or if it does not start.
pub(super) fn chromium() -> &'static Chromium {
    static CHROMIUM: OnceLock<Chromium> = OnceLock::new();
    CHROMIUM.get_or_init(|| {
        let path = std::env::var_os("CHROMIUM").expect("CHROMIUM is not set: run `cargo xtask test`");
        Chromium::start(PathBuf::from(path))
    })
}

impl Chromium {
    /// Every test has a runtime of its own that ends with it, so Chromium gets a thread that stays.
    fn start(path: PathBuf) -> Self {
        let (commands, queue) = mpsc::unbounded_channel();
        let state = Arc::<Mutex<State>>::default();
        let (started, outcome) = blocking::channel();
        let (shared, replies) = (Arc::clone(&state), commands.clone());
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime can be made").block_on(async {
                match spawn(&path) {
                    Ok(child) => {
                        let _ = started.send(Ok(()));
                        serve(child, queue, replies, shared).await;
                    }
                    Err(error) => drop(started.send(Err(format!("{}: {error}", path.display())))),
                }
            });
        });
        outcome.recv().expect("the thread answers").unwrap_or_else(|error| panic!("{error}"));
        Self { commands, state, next: AtomicU64::new(1) }
    }

    /// Sends a command to Chromium itself, or to a page if there is a session.
    ///
    /// # Errors
    /// If Chromium refuses it, gives no answer in time, or has ended.
    pub(super) async fn call(&self, session: Option<&str>, method: &str, parameters: Value) -> Answer {
        let answer = self.send(session, method, parameters);
        match tokio::time::timeout(ANSWER_WITHIN, answer).await {
            Ok(Ok(Ok(answer))) => Ok(answer),
            Ok(Ok(Err(refused))) => Err(format!("{method}: {refused}")),
            Ok(Err(_)) => Err(format!("{method}: Chromium has ended: {}", lock(&self.state).log)),
            Err(_) => Err(format!("{method}: no answer within {} s", ANSWER_WITHIN.as_secs())),
        }
    }

    /// The same without waiting; the command is sent even if nobody waits for the answer.
    pub(super) fn send(&self, session: Option<&str>, method: &str, parameters: Value) -> oneshot::Receiver<Answer> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (answered, answer) = oneshot::channel();
        let mut state = lock(&self.state);
        if !state.ended {
            state.waiting.insert(id, answered);
            // If it has just ended, `waiting` is emptied, and the answer says so.
            let _ = self.commands.send(message(id, session, method, &parameters));
        }
        answer
    }

    /// From now on what a session's page sees is noted there.
    pub(super) fn watch(&self, session: &str, seen: &Arc<Mutex<Seen>>) {
        lock(&self.state).pages.insert(session.to_owned(), Arc::clone(seen));
    }

    /// The page is closed.
    pub(super) fn unwatch(&self, session: &str) {
        lock(&self.state).pages.remove(session);
    }
}

fn spawn(path: &PathBuf) -> std::io::Result<Child> {
    let mut shell = Command::new("sh");
    shell.args(["-c", SHELL]).arg(path).args(FLAGS);
    shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // Ctrl-C ends the tests; that closes the pipe, Chromium ends, and the shell lives to remove the profile.
    shell.process_group(0).spawn()
}

async fn serve(
    mut child: Child,
    queue: mpsc::UnboundedReceiver<Vec<u8>>,
    replies: mpsc::UnboundedSender<Vec<u8>>,
    state: Arc<Mutex<State>>,
) {
    let (Some(input), Some(output), Some(log)) = (child.stdin.take(), child.stdout.take(), child.stderr.take()) else {
        return;
    };
    let log = tokio::spawn(keep_log(log, Arc::clone(&state)));
    tokio::spawn(write(input, queue));
    read(output, &replies, &state).await;
    let _ = log.await;
    let mut state = lock(&state);
    state.ended = true;
    state.waiting.clear();
}

async fn write(mut input: ChildStdin, mut queue: mpsc::UnboundedReceiver<Vec<u8>>) {
    while let Some(message) = queue.recv().await {
        if input.write_all(&message).await.is_err() {
            return;
        }
    }
}

async fn read(output: impl AsyncRead + Unpin, replies: &mpsc::UnboundedSender<Vec<u8>>, state: &Mutex<State>) {
    let mut output = BufReader::new(output);
    let mut message = Vec::new();
    while output.read_until(0, &mut message).await.is_ok_and(|length| length > 0) {
        if message.pop() == Some(0)
            && let Ok(message) = serde_json::from_slice(&message)
        {
            take_in(message, replies, state);
        }
        message.clear();
    }
}

fn take_in(mut message: Value, replies: &mpsc::UnboundedSender<Vec<u8>>, state: &Mutex<State>) {
    if let Some(id) = message["id"].as_u64() {
        let waiting = lock(state).waiting.remove(&id);
        let refused = message["error"]["message"].as_str().map(str::to_owned);
        let answer = refused.map_or_else(|| Ok(message["result"].take()), Err);
        // Nobody waits for it if the test has gone on without the answer.
        let _ = waiting.map(|waiting| waiting.send(answer));
        return;
    }
    let Some(session) = message["sessionId"].as_str() else { return };
    let Some(seen) = lock(state).pages.get(session).cloned() else { return };
    let reply = lock(&seen).take_in(message["method"].as_str().unwrap_or_default(), &message["params"]);
    if let Some((method, parameters)) = reply {
        // Zero is nobody's command, so its answer is nobody's either.
        let _ = replies.send(self::message(0, Some(session), method, &parameters));
    }
}

async fn keep_log(mut log: impl AsyncRead + Unpin, state: Arc<Mutex<State>>) {
    let mut buffer = [0; 4096];
    while let Ok(length @ 1..) = log.read(&mut buffer).await {
        lock(&state).log = String::from_utf8_lossy(&buffer[..length]).into_owned();
    }
}

fn message(id: u64, session: Option<&str>, method: &str, parameters: &Value) -> Vec<u8> {
    let mut message = json!({ "id": id, "method": method, "params": parameters });
    if let Some(session) = session {
        message["sessionId"] = session.into();
    }
    let mut bytes = message.to_string().into_bytes();
    bytes.push(0);
    bytes
}

/// A test that failed while it held the lock has left nothing half done.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
