//! The files of the repository.

use std::fs;
use std::io;
use std::path::Path;

/// Folders that hold nothing anyone wrote.
const SKIPPED: [&str; 4] = ["target", ".git", ".docket", "node_modules"];

/// A text file: its path from the root, and what is in it.
#[derive(Debug)]
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) text: String,
}

impl File {
    pub(crate) fn new(path: impl Into<String>, text: impl Into<String>) -> Self {
        File { path: path.into(), text: text.into() }
    }

    pub(crate) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// For `services/<name>/<rest>`: name and rest.
    pub(crate) fn in_service(&self) -> Option<(&str, &str)> {
        self.path.strip_prefix("services/")?.split_once('/')
    }
}

/// Reads all text files below `root`, in the order of their paths.
pub(crate) fn read(root: &Path) -> io::Result<Vec<File>> {
    let mut files = Vec::new();
    read_folder(root, "", &mut files)?;
    files.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(files)
}

fn read_folder(folder: &Path, prefix: &str, files: &mut Vec<File>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{prefix}{name}");
        let kind = entry.file_type()?;
        if kind.is_file() {
            files.extend(read_text(&entry.path(), path));
        } else if kind.is_dir() && !SKIPPED.contains(&name.as_str()) {
            read_folder(&entry.path(), &format!("{path}/"), files)?;
        }
    }
    Ok(())
}

/// `None` for a picture or another file that is no text.
fn read_text(file: &Path, path: String) -> Option<File> {
    Some(File::new(path, fs::read_to_string(file).ok()?))
}
