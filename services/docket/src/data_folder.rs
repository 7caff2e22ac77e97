//! The data folder: whether Docket may use it, and whether the servers that it brings have room there. What the start refuses the doctor
//! calls ill.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use common::service::Disk;
use common::settings::Settings;
use docket_local::{IN_DATA_DIR, Need, needs};

use crate::preflight::wants_stand_in;

/// What Docket has in its folder beside the servers' data.
const OWN: [&str; 3] = ["mail", "stripe.ndjson", "demo-complete"];

/// What a new disk has in it.
const OF_THE_DISK: &str = "lost+found";

/// Why the folder cannot be used, if it is needed. Nothing is made of it.
pub(crate) fn unusable(settings: &Settings) -> Option<String> {
    if is_needed(settings) { may_use(&settings.data_dir).err() } else { None }
}

/// The folder is needed by embedded servers, by the books of the stand-in for Stripe, by mails that are not sent, and by the demo.
fn is_needed(settings: &Settings) -> bool {
    has_servers(settings) || wants_stand_in(settings) || settings.smtp_url.is_none() || settings.demo
}

/// Whether servers that Docket brings have their data there.
pub(crate) fn has_servers(settings: &Settings) -> bool {
    settings.mongodb_uri.is_none() || settings.nats_url.is_none()
}

/// An empty folder may be used, one that is not there yet, and one that Docket has used before.
fn may_use(folder: &Path) -> Result<(), String> {
    let present = present(folder);
    // A file without a name leaves nothing behind.
    tempfile::tempfile_in(&present).map_err(|error| unfit(&present, &error))?;
    match of_others(folder) {
        Ok(None) => Ok(()),
        Ok(Some(name)) => Err(format!(
            "{} has files of others ({}) and none of Docket's; choose an empty folder, a new one, or the one that Docket had before",
            folder.display(),
            name.display()
        )),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(unfit(folder, &error)),
    }
}

/// What is said of something that is no folder, or not this user's.
pub(crate) fn unfit(path: &Path, error: &impl std::fmt::Display) -> String {
    format!("{}: {error}; it must be a folder that this user may write into", path.display())
}

/// Something in a folder that has nothing of Docket's. What is hidden is nobody's.
fn of_others(folder: &Path) -> io::Result<Option<OsString>> {
    let mut others = None;
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        if IN_DATA_DIR.iter().chain(&OWN).any(|own| name == *own) {
            return Ok(None);
        }
        if !is_hidden(&name) && name != OF_THE_DISK {
            others = Some(name);
        }
    }
    Ok(others)
}

fn is_hidden(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b".")
}

/// The folder itself, or as much of the way to it as there is.
fn present(folder: &Path) -> PathBuf {
    let whole = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let present = whole.ancestors().find(|part| part.exists());
    present.unwrap_or(&whole).to_owned()
}

/// The room that a server which Docket brings has on its disk.
pub(crate) struct Room {
    need: Need,
    disk: Disk,
}

impl Room {
    /// That of each of them.
    pub(crate) fn of_servers(settings: &Settings) -> Vec<Self> {
        let needs = needs(&settings.data_dir, settings.mongodb_uri.is_none(), settings.nats_url.is_none());
        needs.into_iter().filter_map(|need| Some(Self { disk: Disk::of(&present(&need.folder))?, need })).collect()
    }

    /// Why the server cannot go on, if there is too little.
    pub(crate) fn lacks(&self) -> Option<String> {
        too_little(&self.need, self.disk.free())
    }

    /// Whether somebody should make room, although the server goes on.
    pub(crate) fn is_nearly_full(&self) -> bool {
        self.disk.is_nearly_full()
    }
}

impl std::fmt::Display for Room {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (folder, percent) = (self.need.folder.display(), self.disk.used_percent());
        write!(f, "{} are free in {folder}, {percent} % of the disk is in use", in_mib(self.disk.free()))
    }
}

fn too_little(need: &Need, free: u64) -> Option<String> {
    let Need { server, folder, bytes } = need;
    (free < *bytes).then(|| {
        let (folder, free, bytes) = (folder.display(), in_mib(free), in_mib(*bytes));
        format!("{free} are free in {folder}, and {server} needs {bytes} there to go on: make room, or choose a folder on another disk")
    })
}

fn in_mib(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_goes_on_with_what_it_needs_and_not_with_less() {
        let need = Need { server: "mongod", folder: "/data/mongo".into(), bytes: 256 << 20 };
        assert_eq!(too_little(&need, 256 << 20), None);
        let said = too_little(&need, (13 << 20) - 1).unwrap();
        assert!(said.starts_with("12 MiB are free in /data/mongo, and mongod needs 256 MiB"), "{said}");
    }

    #[test]
    fn the_disk_of_a_folder_is_looked_at_before_there_is_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings { data_dir: folder.path().join("not/yet"), ..Settings::default_for_tests() };
        let said: Vec<String> = Room::of_servers(&settings).iter().map(ToString::to_string).collect();
        assert!(said.len() == 2 && said[0].contains("not/yet/mongo") && said[1].contains("not/yet/nats"), "{said:?}");
        assert!(!settings.data_dir.exists());
    }

    #[test]
    fn a_folder_is_new_empty_or_docket_s_own() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        assert_eq!(may_use(&path.join("new/one")), Ok(()));
        for nobodys in [".hidden", "lost+found"] {
            fs::write(path.join(nobodys), "").unwrap();
        }
        assert_eq!(may_use(path), Ok(()));
        fs::write(path.join("notes.txt"), "").unwrap();
        assert!(may_use(path).unwrap_err().contains("(notes.txt)"));
        let file = may_use(&path.join("notes.txt")).unwrap_err();
        assert!(file.contains("notes.txt: ") && file.contains("must be a folder"), "{file}");
        fs::create_dir(path.join("mongo")).unwrap();
        assert_eq!(may_use(path), Ok(()));
        assert_eq!(fs::read_dir(path).unwrap().count(), 4, "nothing is left behind");
    }
}
