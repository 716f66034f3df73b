//! Files, which are uploaded in three steps.

use super::answer::judge_webhook;
use super::connection::{Client, Fields, not_an_address};
use super::error::Error;
use super::method::{COMPLETE_UPLOAD, GET_UPLOAD_URL, UPLOAD};
use crate::http::Endpoint;
use crate::http::retry::Repeat;
use crate::secret::Secret;
use crate::slack::bus::Ts;
use serde_json::json;
use zibrato::clock;

/// The longest answer to an upload that is read.
const MOST: u64 = 1 << 16;

/// A file to upload.
///
/// ```
/// use zibrato_workers::slack::client::Upload;
/// let upload = Upload::new("load.png", vec![0x89]).title("Load").to("C0123456789");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Upload {
    name: String,
    bytes: Vec<u8>,
    title: Option<String>,
    description: Option<String>,
    channel: Option<String>,
    thread: Option<String>,
}

impl Upload {
    /// A file with a name and its bytes, of which there must be some.
    pub fn new(name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            name: name.into(),
            bytes: bytes.into(),
            title: None,
            description: None,
            channel: None,
            thread: None,
        }
    }

    /// What people see instead of the name.
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.title = Some(title.into());
        self
    }

    /// What the file shows, for people who do not see it.
    pub fn description(mut self, text: impl Into<String>) -> Self {
        self.description = Some(text.into());
        self
    }

    /// The channel in which it is posted, by id. Defaults to none: nobody else sees it.
    pub fn to(mut self, channel: impl Into<String>) -> Self {
        self.channel = Some(channel.into());
        self
    }

    /// The message in whose thread it is posted. It needs a channel.
    pub fn thread(mut self, ts: &Ts) -> Self {
        self.thread = Some(ts.as_str().to_owned());
        self
    }
}

impl Client {
    /// Uploads a file and posts it, and returns its id: `files.getUploadURLExternal`, a request to the
    /// URL of its answer, and `files.completeUploadExternal`. The token needs the scope `files:write`.
    ///
    /// # Errors
    /// If the token has not the scope, the workspace allows no uploads, the channel is not there, or
    /// Slack does not answer. After an error the file is not posted, except if the last answer is lost.
    pub fn upload(&self, upload: &Upload) -> Result<String, Error> {
        let fields = Fields::default()
            .with("filename", &*upload.name)
            .with("length", upload.bytes.len())
            .with_any("alt_txt", upload.description.as_deref());
        let place = self.call(GET_UPLOAD_URL, &fields, Repeat::Safe)?;
        let text = |field: &str| match place[field].as_str() {
            Some(text) => Ok(text),
            None => Err(Error::Unreadable { status: 200, why: format!("it has no {field}") }),
        };
        self.put(text("upload_url")?, &upload.bytes)?;
        let id = text("file_id")?;
        let title = upload.title.as_deref().unwrap_or(&upload.name);
        let fields = Fields::default()
            .with("files", json!([{"id": id, "title": title}]))
            .with_any("channel_id", upload.channel.as_deref())
            .with_any("thread_ts", upload.thread.as_deref());
        self.call(COMPLETE_UPLOAD, &fields, Repeat::Never)?;
        Ok(id.to_owned())
    }

    /// Sends the bytes. Whoever has the URL may upload, so it is a secret, and gets no token.
    fn put(&self, url: &str, bytes: &[u8]) -> Result<(), Error> {
        let shared = &*self.shared;
        Endpoint::parse("the URL for the upload", url).map_err(|_| not_an_address())?;
        let caller = shared.caller(url, &self.retries, MOST)?;
        let url = Secret::new(url);
        let headers = [("Content-Type", "application/octet-stream")];
        caller.call(UPLOAD, "", Repeat::Safe, &headers, bytes, |answer, _| {
            judge_webhook(UPLOAD.name, answer, &[&url], clock::unix_ms())
        })
    }
}
