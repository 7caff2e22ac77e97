//! The books on disk: one line for every change, written before the change is answered.
//!
//! When the file has grown to more than twice what the books need, it is written anew with one line per object: into another
//! file, which takes the place of the first in one step once it is on the disk. So whenever the process is killed, one of
//! them has all that was answered. A last line that a crash has damaged was never answered, and is cut off; damage anywhere
//! else is an error.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::books::{Books, Record};

/// So much a journal may grow, beyond its length when it was last written anew, before it is written anew again.
const GROWTH: u64 = 8 * 1024 * 1024;

/// The journal cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file system refused.
    #[error("the Stripe stand-in's journal {path}: {source}")]
    Io {
        /// The file concerned.
        path: PathBuf,
        /// What the file system said.
        source: io::Error,
    },
    /// A line before the last is no record of ours.
    #[error("line {line} of the Stripe stand-in's journal {path} is not a record of it: {source}")]
    Damaged {
        /// The file concerned.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

/// An open journal.
pub(crate) struct Journal {
    path: PathBuf,
    file: File,
    length: u64,
    /// At this length it is written anew.
    full: u64,
}

impl Journal {
    /// Reads the books, forgets what is old at `now`, and writes the file anew.
    pub(crate) fn open(path: &Path, now: i64) -> Result<(Self, Books), JournalError> {
        let mut books = read(path)?;
        books.forget(now);
        let failed = |source| JournalError::Io { path: path.to_owned(), source };
        let (file, length) = write_anew(path, &books).map_err(failed)?;
        Ok((Self { path: path.to_owned(), file, length, full: 2 * length + GROWTH }, books))
    }

    /// Adds the lines of records in one write; where that fails half-way, nothing of it stays.
    pub(crate) fn append(&mut self, lines: &[u8]) -> Result<(), JournalError> {
        let failed = |source| JournalError::Io { path: self.path.clone(), source };
        let written = self.file.write_all(lines);
        match written {
            Ok(()) => self.length += lines.len() as u64,
            Err(_) => self.file.set_len(self.length).map_err(failed)?,
        }
        written.map_err(failed)
    }

    /// Whether it has grown so much that it is worth to write it anew.
    pub(crate) fn is_full(&self) -> bool {
        self.length >= self.full
    }

    /// Writes it anew. If that fails, the file goes on as it is, and is tried again when it has grown once more.
    pub(crate) fn compact(&mut self, books: &Books) -> Result<(), JournalError> {
        self.full = self.length + GROWTH;
        let failed = |source| JournalError::Io { path: self.path.clone(), source };
        (self.file, self.length) = write_anew(&self.path, books).map_err(failed)?;
        self.full = 2 * self.length + GROWTH;
        Ok(())
    }
}

fn read(path: &Path) -> Result<Books, JournalError> {
    let failed = |source| JournalError::Io { path: path.to_owned(), source };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Books::default()),
        Err(error) => return Err(failed(error)),
    };
    let mut books = Books::default();
    let mut damaged: Option<JournalError> = None;
    for (index, line) in BufReader::new(file).split(b'\n').enumerate() {
        let line = line.map_err(failed)?;
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        // What follows shows that the damaged line was not the last.
        if let Some(damaged) = damaged {
            return Err(damaged);
        }
        damaged = match serde_json::from_slice::<Record>(&line) {
            Ok(record) => {
                books.apply(record);
                None
            }
            Err(source) => Some(JournalError::Damaged { path: path.to_owned(), line: index + 1, source }),
        };
    }
    if let Some(error) = damaged {
        tracing::warn!(error = &error as &dyn std::error::Error, "the last line was damaged, and is cut off");
    }
    Ok(books)
}

fn write_anew(path: &Path, books: &Books) -> io::Result<(File, u64)> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let fresh = path.with_extension("new");
    let mut file = BufWriter::new(File::create(&fresh)?);
    let mut line = Vec::new();
    for record in books.records() {
        line.clear();
        record.write(&mut line);
        file.write_all(&line)?;
    }
    file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
    fs::rename(&fresh, path)?;
    // The new name must be on the disk too.
    File::open(folder)?.sync_all()?;
    let file = OpenOptions::new().append(true).open(path)?;
    let length = file.metadata()?.len();
    Ok((file, length))
}
