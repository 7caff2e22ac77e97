//! The books on disk: one line for every change, written before the change is answered.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::books::Books;

/// The journal cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file system refused.
    #[error("the Stripe stand-in's journal {path}")]
    Io {
        /// The file concerned.
        path: PathBuf,
        /// What the file system said.
        source: io::Error,
    },
    /// A line in the middle of the file is no record of ours.
    #[error("line {line} of the Stripe stand-in's journal {path} is not a record of it")]
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
}

impl Journal {
    /// Reads the books, then rewrites the file with one line per object, which also
    /// removes a last line that a crash has cut short.
    pub(crate) fn open(path: &Path, now: i64) -> Result<(Self, Books), JournalError> {
        let mut books = read(path)?;
        books.idempotency.expire(now);
        let failed = |source| JournalError::Io { path: path.to_owned(), source };
        compact(path, &books).map_err(failed)?;
        let file = OpenOptions::new().append(true).open(path).map_err(failed)?;
        let length = file.metadata().map_err(failed)?.len();
        Ok((Self { path: path.to_owned(), file, length }, books))
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
}

fn read(path: &Path) -> Result<Books, JournalError> {
    let failed = |source| JournalError::Io { path: path.to_owned(), source };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Books::default()),
        Err(error) => return Err(failed(error)),
    };
    let mut books = Books::default();
    let mut lines = BufReader::new(file).split(b'\n').enumerate().peekable();
    while let Some((index, line)) = lines.next() {
        match serde_json::from_slice(&line.map_err(failed)?) {
            Ok(record) => books.apply(record),
            Err(_) if lines.peek().is_none() => tracing::warn!(?path, "dropped a journal line that was cut short"),
            Err(source) => return Err(JournalError::Damaged { path: path.to_owned(), line: index + 1, source }),
        }
    }
    Ok(books)
}

fn compact(path: &Path, books: &Books) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let fresh = path.with_extension("new");
    let mut file = BufWriter::new(File::create(&fresh)?);
    let mut line = Vec::new();
    for record in books.records() {
        line.clear();
        record.write(&mut line);
        file.write_all(&line)?;
    }
    file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
    fs::rename(&fresh, path)
}
