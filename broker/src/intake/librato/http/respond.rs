//! From a request to its answer.

use super::admission::Verdict;
use super::body::{MAX_BODY, Packing, discard, receive};
use super::connections::Use;
use super::route::{Unserved, is_form, no_web_page, route};
use super::shared::Shared;
use crate::intake::librato::answer::Answer;
use crate::intake::librato::api::{Call, Request};
use crate::intake::librato::job::Job;
use crate::intake::librato::memory::Pending;
use crate::intake::librato::repeats::RequestKey;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{
    ALLOW, AUTHORIZATION, CONNECTION, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE,
};
use hyper::http::request::Parts;
use hyper::{Response, StatusCode};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

/// Pause before the answer to wrong credentials.
const GUESS_PAUSE: Duration = Duration::from_secs(1);

/// Maximum number of bytes that are received of a stranger's body, and of a body that is too large.
const STRANGERS_BODY: usize = 1 << 20;
const LARGE_BODY: usize = 16 * MAX_BODY;

/// Maximum time until the other thread answers.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Answers a request.
pub(super) async fn respond(
    request: hyper::Request<Incoming>,
    sender: SocketAddr,
    shared: Rc<Shared>,
    use_of: Rc<Use>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, mut body) = request.into_parts();
    let answer = match answer(&head, &mut body, sender, &shared, &use_of).await {
        Ok(answer) => answer,
        Err(Unserved(answer, reason)) => {
            let path = head.uri.path().chars().take(60).collect::<String>();
            let sample = || format!("from {sender}: {} {path}", head.method);
            shared.tally.refuse(reason, &answer.why, sample);
            answer
        }
    };
    Ok(response(answer))
}

async fn answer(
    head: &Parts,
    body: &mut Incoming,
    sender: SocketAddr,
    shared: &Shared,
    use_of: &Rc<Use>,
) -> Result<Answer, Unserved> {
    if shared.admission.borrow().must_wait(sender.ip()) {
        sleep(GUESS_PAUSE).await;
    }
    let verdict = shared.admission.borrow_mut().check(&head.headers, sender.ip());
    match verdict {
        Verdict::Admitted => {}
        Verdict::Missing => {
            discard(body, STRANGERS_BODY).await;
            shared.tally.count("no_credentials");
            let why = "Authorization Required: send a user and a token, with HTTP's scheme Basic";
            return Ok(Answer::error(401, why));
        }
        Verdict::Wrong(user) => {
            discard(body, STRANGERS_BODY).await;
            sleep(GUESS_PAUSE).await;
            let why = "Authorization Required: the user or the token is wrong";
            let sample = || format!("from {sender}: the credentials of {user}");
            shared.tally.refuse("auth", why, sample);
            return Ok(Answer::error(401, why));
        }
    }
    // Not before: connections of strangers make room for others at any time.
    let _busy = use_of.begin();
    let request = match request(head, body, sender, shared).await {
        Ok(request) => request,
        Err(unserved) => {
            discard(body, LARGE_BODY).await;
            return Err(unserved);
        }
    };
    let (to, answer) = oneshot::channel();
    if shared.jobs.try_send(Job { request, answer: to }).is_err() {
        let why = "too many requests wait, or the broker is about to stop; try again";
        return Err(Unserved(Answer::later(why), "busy"));
    }
    shared.waker.wake();
    match timeout(ANSWER_TIMEOUT, answer).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(_)) | Err(_) => {
            let why = "the broker stops, or does not answer; the measurements may be lost, so send \
                       them again";
            Err(Unserved(Answer::later(why), "unanswered"))
        }
    }
}

/// Receives what the request asks for.
async fn request(
    head: &Parts,
    body: &mut Incoming,
    sender: SocketAddr,
    shared: &Shared,
) -> Result<Request<Pending>, Unserved> {
    no_web_page(&head.headers)?;
    let call = route(head)?;
    let has_body = !matches!(call, Call::List { .. } | Call::Show { .. });
    let is_form = has_body && is_form(&call, &head.headers)?;
    let packing = if has_body { Packing::of(&head.headers)? } else { Packing::None };
    let body = receive(body, packing, &shared.memory).await?;
    // curl calls a body a form unless it is told otherwise, and no form begins like this.
    let is_form = is_form && !body.as_ref().trim_ascii_start().starts_with(b"{");
    shared.tally.received(body.as_ref().len());
    let key = head.headers.get("idempotency-key").and_then(|key| key.to_str().ok());
    let credentials = head.headers.get(AUTHORIZATION).map(HeaderValue::as_bytes);
    let key = key.and_then(|key| RequestKey::of(sender.ip(), key, head.uri.path(), credentials));
    Ok(Request { call, is_form, body, sender, key })
}

fn response(answer: Answer) -> Response<Full<Bytes>> {
    let Answer { status, body, allow, retry_after, .. } = answer;
    let has_body = !body.is_empty();
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or_default();
    let headers = response.headers_mut();
    if has_body {
        let json = HeaderValue::from_static("application/json;charset=utf-8");
        headers.insert(CONTENT_TYPE, json);
    }
    if status == StatusCode::UNAUTHORIZED {
        let realm = HeaderValue::from_static("Basic realm=\"Zibrato\"");
        headers.insert(WWW_AUTHENTICATE, realm);
    }
    if let Some(allow) = allow {
        headers.insert(ALLOW, HeaderValue::from_static(allow));
    }
    if let Some(seconds) = retry_after {
        headers.insert(RETRY_AFTER, seconds.into());
        // python-librato sends a refused request again, but only over a new connection.
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}
