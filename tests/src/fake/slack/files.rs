//! The files of the fake, which are uploaded in three steps: a place is asked for, the bytes are sent
//! there, and the upload is completed.

use super::workspace::Refusal;
use crate::fake::http::{Reply, Request};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Below this path files are uploaded.
pub(super) const UPLOADS: &str = "/upload/v1/";

/// A file that was uploaded and posted.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Shared {
    /// The name.
    pub name: String,
    /// The title.
    pub title: String,
    /// The description for people who do not see it.
    pub description: String,
    /// The bytes.
    pub bytes: Vec<u8>,
    /// The channel, if any.
    pub channel: Option<String>,
    /// The message in whose thread it is, if any.
    pub thread: Option<String>,
}

/// All files.
#[derive(Debug, Default)]
pub(super) struct Files {
    /// By id; the expected length, and the bytes once they are there.
    begun: BTreeMap<String, (usize, Shared)>,
    /// Those that were posted.
    pub(super) shared: Vec<Shared>,
    pub(super) are_forbidden: bool,
    /// The answer to each upload of bytes, instead of one that depends on it.
    pub(super) answer: Option<Reply>,
}

impl Files {
    /// `files.getUploadURLExternal`.
    pub(super) fn begin(
        &mut self,
        fields: &Map<String, Value>,
        host: &str,
    ) -> Result<Value, Refusal> {
        if self.are_forbidden {
            return Err("file_uploads_disabled".into());
        }
        let text = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default();
        let length = fields.get("length").map_or(0, |length| {
            let number = length.as_u64().or_else(|| length.as_str()?.parse().ok());
            number.and_then(|number| usize::try_from(number).ok()).unwrap_or_default()
        });
        if length == 0 || text("filename").is_empty() {
            return Err("missing_argument".into());
        }
        let id = format!("F{:08}", self.begun.len() + self.shared.len() + 1);
        let file = Shared {
            name: text("filename").to_owned(),
            title: String::new(),
            description: text("alt_txt").to_owned(),
            bytes: Vec::new(),
            channel: None,
            thread: None,
        };
        self.begun.insert(id.clone(), (length, file));
        let url = format!("http://{host}{UPLOADS}{id}?secret=hushhush");
        Ok(json!({"ok": true, "upload_url": url, "file_id": id}))
    }

    /// The request with the bytes. Its URL is enough: there is no token.
    pub(super) fn upload(&mut self, request: &Request) -> Reply {
        if let Some(answer) = &self.answer {
            return answer.clone();
        }
        let id = request.path.strip_prefix(UPLOADS).unwrap_or_default();
        if request.header("authorization").is_some() || request.query != "secret=hushhush" {
            return Reply::status(403).body("a token does not belong here");
        }
        match self.begun.get_mut(id) {
            Some((length, file)) if *length == request.body.len() => {
                file.bytes.clone_from(&request.body);
                Reply::status(200).body(format!("OK - {length}"))
            }
            Some(_) => Reply::status(400).body("the length is another"),
            None => Reply::status(404).body("no such upload"),
        }
    }

    /// `files.completeUploadExternal`.
    pub(super) fn complete(&mut self, fields: &Map<String, Value>) -> Result<Value, Refusal> {
        let list = fields.get("files").and_then(Value::as_array);
        let list = list.filter(|list| !list.is_empty()).ok_or("invalid_arguments")?;
        let text = |name: &str| fields.get(name).and_then(Value::as_str).map(str::to_owned);
        let mut answers = Vec::new();
        for given in list {
            let id = given["id"].as_str().unwrap_or_default();
            let is_there = self.begun.get(id).is_some_and(|(_, file)| !file.bytes.is_empty());
            if !is_there {
                return Err("file_not_found".into());
            }
            let Some((_, mut file)) = self.begun.remove(id) else { continue };
            file.title = given["title"].as_str().unwrap_or(&file.name).to_owned();
            (file.channel, file.thread) = (text("channel_id"), text("thread_ts"));
            answers.push(json!({"id": id, "title": file.title, "name": file.name}));
            self.shared.push(file);
        }
        Ok(json!({"ok": true, "files": answers}))
    }
}
