//! Mails as files, where there is no mail server: one `.eml` file each, which every mail program opens.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use mail_parser::MessageParser;
use tokio::fs::{self, OpenOptions};
use tokio::io::AsyncWriteExt as _;

use super::Mail;
use crate::clock::Time;
use crate::id::MailId;

/// The folder in the data directory.
const NAME: &str = "mail";

const ENDING: &str = ".eml";

/// How many mails are kept: they are there to be looked at, and the oldest are not looked at any more.
const KEPT: usize = 1_000;

/// A folder of mails, of which it keeps the newest.
#[derive(Clone, Debug)]
pub struct Folder(PathBuf);

impl fmt::Display for Folder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.display().fmt(f)
    }
}

impl Folder {
    /// The one in a data directory, where mails are that are not sent.
    pub fn of(data_dir: &Path) -> Self {
        Self(data_dir.join(NAME))
    }

    /// Under another name first, so that nobody reads half a mail. They hold tokens, so only their owner may read them.
    pub(super) async fn keep(&self, id: MailId, message: &[u8]) -> io::Result<()> {
        fs::create_dir_all(&self.0).await?;
        let (unfinished, finished) = (self.0.join(format!("{id}.part")), self.path(id));
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished).await?;
        file.write_all(message).await?;
        file.sync_all().await?;
        fs::rename(unfinished, finished).await?;
        self.forget_oldest(KEPT).await
    }

    /// Another process may do the same at the same time.
    async fn forget_oldest(&self, kept: usize) -> io::Result<()> {
        let mut ids = self.ids().await?;
        ids.sort_unstable_by(|one, other| other.cmp(one));
        for id in ids.into_iter().skip(kept) {
            match fs::remove_file(self.path(id)).await {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// The newest mails, newest first, `limit` at most.
    ///
    /// # Errors
    /// If the folder or a mail in it cannot be read.
    pub async fn newest(&self, limit: usize) -> io::Result<Vec<Mail>> {
        let mut ids = self.ids().await?;
        ids.sort_unstable_by(|one, other| other.cmp(one));
        let mut mails = Vec::with_capacity(limit.min(ids.len()));
        for id in ids.into_iter().take(limit) {
            mails.extend(self.get(id).await?);
        }
        Ok(mails)
    }

    /// One mail; `None` if there is none with this id.
    ///
    /// # Errors
    /// If it cannot be read.
    pub async fn get(&self, id: MailId) -> io::Result<Option<Mail>> {
        match fs::read(self.path(id)).await {
            Ok(message) => Ok(parse(id, &message)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn ids(&self) -> io::Result<Vec<MailId>> {
        let mut entries = match fs::read_dir(&self.0).await {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut ids = Vec::new();
        while let Some(entry) = entries.next_entry().await? {
            let name = entry.file_name();
            ids.extend(name.to_str().and_then(|name| name.strip_suffix(ENDING)?.parse::<MailId>().ok()));
        }
        Ok(ids)
    }

    fn path(&self, id: MailId) -> PathBuf {
        self.0.join(format!("{id}{ENDING}"))
    }
}

fn parse(id: MailId, message: &[u8]) -> Option<Mail> {
    let parsed = MessageParser::default().parse(message)?;
    let at = parsed.date().map_or(0, mail_parser::DateTime::to_timestamp);
    Some(Mail {
        id,
        at: Time::from_millis(at * 1000),
        to: parsed.to().and_then(|to| to.first()?.address()).unwrap_or_default().to_owned(),
        subject: parsed.subject().unwrap_or_default().to_owned(),
        text: parsed.body_text(0).unwrap_or_default().replace("\r\n", "\n"),
        html: parsed.body_html(0).unwrap_or_default().replace("\r\n", "\n"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_newest_mails_are_kept() {
        let path = std::env::temp_dir().join(MailId::generate(Time::from_millis(1)).to_string());
        let folder = Folder(path.clone());
        let ids: Vec<MailId> = (1..=5).map(|at| MailId::generate(Time::from_millis(at))).collect();
        for id in &ids {
            folder.keep(*id, b"Subject: Hello\r\n\r\n").await.unwrap();
        }
        folder.forget_oldest(2).await.unwrap();
        let mut left = folder.ids().await.unwrap();
        left.sort_unstable();
        assert_eq!(left, ids[3..]);
        fs::remove_dir_all(path).await.unwrap();
    }
}
