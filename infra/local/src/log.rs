//! The servers' log files.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use crate::error::{AboutFile, LocalError};

const TAIL_BYTES: u64 = 6_000;
const TAIL_LINES: usize = 15;

/// Opens an empty log; the one before is kept as `.old`, so that logs cannot grow from run to run.
pub(crate) fn create(path: &Path) -> Result<File, LocalError> {
    if path.exists() {
        fs::rename(path, path.with_extension("log.old")).about(path)?;
    }
    File::create(path).about(path)
}

/// The last lines of a log, as far as they can be read.
pub(crate) fn tail(path: &Path) -> String {
    let bytes = last_bytes(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
}

fn last_bytes(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tail_is_the_last_lines() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("server.log");
        let lines: Vec<String> = (0..100).map(|n| format!("line {n}")).collect();
        fs::write(&path, lines.join("\n")).unwrap();
        assert!(tail(&path).starts_with("line 85\n"));
        assert!(tail(&path).ends_with("\nline 99"));
    }

    #[test]
    fn a_missing_log_has_an_empty_tail() {
        assert_eq!(tail(Path::new("/nowhere/server.log")), "");
    }
}
