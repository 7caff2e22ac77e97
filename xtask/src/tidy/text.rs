//! Rules about what may stand in a file.

use super::Finding;
use super::code::{code_only, lines_with};
use super::files::File;

const LONGEST_FILE: usize = 600;

const UNFINISHED: [&str; 3] = ["todo!", "unimplemented!", "dbg!"];

const SLEEPS: [&str; 2] = ["thread::sleep", "time::sleep"];

/// Test files which may sleep, each with its reason.
const SLEEPERS: [(&str, &str); 13] = [
    ("infra/local/tests/it/main.rs", "a pause of a given length, after which a server must still be paused"),
    ("infra/stripe/tests/it/harness.rs", "the pause between two looks of the one bounded wait"),
    ("common/tests/http/connections.rs", "a connection on which nothing comes for a given time"),
    ("common/tests/http/repeats.rs", "the pause between two looks of its bounded wait"),
    ("common/tests/http/stop.rs", "an answer that takes longer than an idle worker to end"),
    ("common/tests/http/slow_peers.rs", "a peer that reads nothing for a given time"),
    ("common/tests/bus/mod.rs", "the pause between two looks of the one bounded wait"),
    ("common/tests/bus/delivery.rs", "an outage of a given length"),
    ("common/tests/bus/parked.rs", "a handler that takes long enough for another to come in between"),
    ("infra/stripe/tests/it/journal.rs", "the pause between two looks of its bounded wait"),
    ("services/web/src/live/looks.rs", "a clock that stands still until all wait for it"),
    ("services/web/src/live/mod.rs", "a clock that stands still until all wait for it"),
    ("tests/src/wait.rs", "the pause between two looks of the one bounded wait, and outages of a given length"),
];

/// Tasks that nobody looks after, and the files which may spawn them all the same, each with its reason.
const SPAWNS: [&str; 4] = ["tokio::spawn", "task::spawn", "rt::spawn", "spawn_local"];
const SPAWNERS: [(&str, &str); 2] = [
    ("common/src/supervisor/spawner.rs", "it is the supervisor's own, and sees every panic"),
    ("common/src/http/idempotency.rs", "the request waits for the task, and answers its panic with 500"),
];

/// A build must work with whatever registry, mirror or proxy it is given. In two parts, as this file is looked at too.
const REGISTRIES: [&str; 5] = [
    concat!("crates", ".io"),
    concat!("pypi", ".org"),
    concat!("pythonhosted", ".org"),
    concat!("npmjs", ".org"),
    concat!("npmjs", ".com"),
];

pub(super) fn findings(files: &[File]) -> Vec<Finding> {
    let registries = files.iter().filter(|file| !is_lock_file(&file.path)).flat_map(registries);
    let rust = files.iter().filter(|file| file.is_rust()).flat_map(rust_findings);
    registries.chain(rust).collect()
}

fn is_lock_file(path: &str) -> bool {
    path.ends_with(".lock") || path.ends_with("-lock.json") || path.ends_with("-lock.yaml")
}

fn registries(file: &File) -> Vec<Finding> {
    let named = |line: &str| REGISTRIES.iter().find(|host| line.contains(*host));
    let lines = file.text.lines().zip(1..).filter_map(|(line, number)| Some((number, named(line)?)));
    lines.map(|(number, host)| Finding::new(&file.path, number, format!("names the registry host {host}"))).collect()
}

fn rust_findings(file: &File) -> Vec<Finding> {
    let code = code_only(&file.text);
    let rules = [unfinished, ignored, sleeps, spawns];
    rules.iter().map(|rule| rule(&file.path, &code)).chain([length(file)]).collect::<Vec<_>>().concat()
}

fn length(file: &File) -> Vec<Finding> {
    let lines = file.text.lines().count();
    if lines <= LONGEST_FILE {
        return Vec::new();
    }
    vec![Finding::new(&file.path, lines, format!("{lines} lines; at most {LONGEST_FILE}"))]
}

fn unfinished(path: &str, code: &str) -> Vec<Finding> {
    let found = UNFINISHED.iter().flat_map(|name| lines_with(code, name).into_iter().map(move |line| (line, name)));
    found.map(|(line, name)| Finding::new(path, line, format!("{name} is left in"))).collect()
}

fn ignored(path: &str, code: &str) -> Vec<Finding> {
    let lines = lines_with(code, "#[ignore");
    lines.into_iter().map(|line| Finding::new(path, line, "a test is never skipped")).collect()
}

fn sleeps(path: &str, code: &str) -> Vec<Finding> {
    let first = first_test_line(path, code);
    if SLEEPERS.iter().any(|(allowed, _)| *allowed == path) {
        return Vec::new();
    }
    let lines = SLEEPS.iter().flat_map(|sleep| lines_with(code, sleep)).filter(|line| *line >= first);
    lines.map(|line| Finding::new(path, line, "a test waits for a state, with a bound; it does not sleep")).collect()
}

/// What services and what they share spawn goes through the supervisor, so that no panic and no end passes unseen.
fn spawns(path: &str, code: &str) -> Vec<Finding> {
    let served = path.starts_with("common/src/") || path.starts_with("services/");
    if !served || SPAWNERS.iter().any(|(allowed, _)| *allowed == path) {
        return Vec::new();
    }
    let first_test = first_test_line(path, code);
    let lines = SPAWNS.iter().flat_map(|spawn| lines_with(code, spawn)).filter(|line| *line < first_test);
    lines.map(|line| Finding::new(path, line, "a task runs under common::supervisor, which sees its panic")).collect()
}

/// All of a file in a `tests` folder is test code, of another one what follows `#[cfg(test)]`.
fn first_test_line(path: &str, code: &str) -> usize {
    if path.split('/').any(|folder| folder == "tests") {
        return 0;
    }
    lines_with(code, "#[cfg(test)]").first().copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(path: &str, text: &str) -> Vec<String> {
        findings(&[File::new(path, text)]).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_registry_is_named_in_lock_files_only() {
        let text = format!("a\nhttps://{}/b", REGISTRIES[0]);
        assert_eq!(messages("README.md", &text), [format!("README.md:2: names the registry host {}", REGISTRIES[0])]);
        assert!(messages("Cargo.lock", &text).is_empty());
        assert!(messages("tests/e2e/package-lock.json", &text).is_empty());
    }

    #[test]
    fn a_file_may_have_600_lines() {
        assert!(messages("a.rs", &"\n".repeat(600)).is_empty());
        assert_eq!(messages("a.rs", &"\n".repeat(601)), ["a.rs:601: 601 lines; at most 600"]);
        assert!(messages("a.md", &"\n".repeat(601)).is_empty());
    }

    #[test]
    fn nothing_is_left_unfinished() {
        assert_eq!(messages("a.rs", "fn a() {\n    todo!()\n}"), ["a.rs:2: todo! is left in"]);
        assert_eq!(messages("a.rs", "dbg!(x);"), ["a.rs:1: dbg! is left in"]);
        assert!(messages("a.rs", "// todo!\nlet a = \"todo!\";").is_empty());
    }

    #[test]
    fn no_test_is_ignored() {
        assert_eq!(messages("a.rs", "#[ignore = \"slow\"]"), ["a.rs:1: a test is never skipped"]);
    }

    #[test]
    fn only_tests_may_not_sleep() {
        let text = "tokio::time::sleep(d);\n#[cfg(test)]\nmod tests {\n    std::thread::sleep(d);\n}";
        let message = "a test waits for a state, with a bound; it does not sleep";
        assert_eq!(messages("common/src/a.rs", text), [format!("common/src/a.rs:4: {message}")]);
        assert_eq!(messages("tests/src/a.rs", text).len(), 2);
    }

    #[test]
    fn what_services_spawn_is_supervised() {
        let text = "tokio::spawn(a);\nactix_web::rt::spawn(b);\ntokio::task::spawn_blocking(c);\n#[cfg(test)]\nmod tests {\n    tokio::spawn(d);\n}";
        let message = "a task runs under common::supervisor, which sees its panic";
        let found = [1, 2].map(|line| format!("services/web/src/a.rs:{line}: {message}"));
        assert_eq!(messages("services/web/src/a.rs", text), found);
        for free in ["tests/src/a.rs", "common/tests/it.rs", "bench/src/a.rs", "common/src/supervisor/spawner.rs"] {
            assert_eq!(messages(free, "tokio::spawn(a);"), Vec::<String>::new(), "{free}");
        }
    }
}
