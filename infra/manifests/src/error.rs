//! What keeps manifests from being read.

/// A tool is missing or failed, or what it rendered cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// A command could not be run, or said that it failed.
    #[error("{command}: {reason}")]
    Command {
        /// The program, with its arguments.
        command: String,
        /// Its complaint.
        reason: String,
    },
    /// The tools are not there, and could not be had.
    #[error("{0}; the tools for manifests need python3 with venv and pip, and Node 20 or newer with npm")]
    Install(Box<ManifestError>),
    /// The folder of the tools cannot be written.
    #[error("the folder of the tools: {0}")]
    Folder(#[from] std::io::Error),
    /// What was rendered is no YAML.
    #[error("the manifests are no YAML: {0}")]
    Yaml(#[from] serde_saphyr::Error),
}
