"""Checks that a fake Slack answers the real client like Slack.

Usage: prove_slack.py http://127.0.0.1:PORT

The fake must be configured to limit the rate of the first request (429, Retry-After: 7), and to 50
calls of users.info a minute; of the tokens below, one has only the scope chat:write, and one is
revoked.
Prints a line for each proof; exits with 1 at the first that fails.
"""

import sys
import urllib.error
import urllib.request

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.models.blocks import HeaderBlock, MarkdownTextObject, SectionBlock
from slack_sdk.webhook import WebhookClient

TOKEN = "xoxb-hushhush"
OTHER_TOKEN = "xoxb-hushother"
FEW_TOKEN = "xoxb-hushfew"
REVOKED_TOKEN = "xoxb-hushgone"
PRIVATE = "G0PRIVATE"
WEBHOOK_PATH = "/services/T0TEAM/B0HOOK/hushhush"
BLOCKS = [
    HeaderBlock(text="Digest"),
    SectionBlock(text=MarkdownTextObject(text="*cpu* `▁▅█`", verbatim=True)),
]


def client(url, token=TOKEN):
    return WebClient(token=token, base_url=url + "/api/")


def check(got, wanted):
    if got != wanted:
        raise AssertionError(f"{got!r} is not {wanted!r}")


def expect(word, call):
    """Calls a function, checks that Slack's error code is raised, and returns the answer."""
    try:
        call()
    except SlackApiError as error:
        check(error.response["error"], word)
        return error.response
    raise AssertionError(f"nothing raised; expected {word}")


def ratelimited(url):
    api = client(url)
    answer = expect("ratelimited", lambda: api.chat_postMessage(channel="C0METRICS", text="x"))
    check(answer.status_code, 429)
    check(answer.headers["Retry-After"], "7")


def auth_test(url):
    check(client(url).auth_test()["user"], "zibrato")


def invalid_auth(url):
    expect("invalid_auth", client(url, "xoxb-wrong").auth_test)


def not_authed(url):
    expect("not_authed", client(url, None).auth_test)


def post(url):
    answer = client(url).chat_postMessage(channel="C0METRICS", text="Digest: cpu", blocks=BLOCKS)
    check(answer["channel"], "C0METRICS")
    check(answer["message"]["text"], "Digest: cpu")


def post_by_name(url):
    check(client(url).chat_postMessage(channel="#metrics", text="hello")["ok"], True)


def post_elsewhere(url):
    api = client(url)
    for channel, word in [
        ("C0NOWHERE", "channel_not_found"),
        ("C0ARCHIVE", "is_archived"),
        ("#strange", "not_in_channel"),
    ]:
        expect(word, lambda: api.chat_postMessage(channel=channel, text="x"))


def post_too_much(url):
    api = client(url)
    many = [SectionBlock(text="x").to_dict() for _ in range(51)]
    expect("invalid_blocks", lambda: api.chat_postMessage(channel="#metrics", text="x", blocks=many))
    expect("no_text", lambda: api.chat_postMessage(channel="#metrics", text=""))


def list_channels(url):
    def names(answer):
        return [channel["name"] for channel in answer["channels"]]

    check(names(client(url).conversations_list(limit=200)), ["metrics", "archive", "strange"])
    types = "public_channel,private_channel"
    pages = client(url).conversations_list(limit=2, types=types, exclude_archived=True)
    check([names(page) for page in pages], [["metrics", "strange"], ["private"]])


def info_and_join(url):
    api = client(url)
    check(api.conversations_info(channel="C0METRICS")["channel"]["is_member"], True)
    check(api.conversations_join(channel="C0METRICS")["warning"], "already_in_channel")
    expect("is_archived", lambda: api.conversations_join(channel="C0ARCHIVE"))
    expect("not_in_channel", lambda: api.conversations_history(channel="C0STRANGE"))
    expect("channel_not_found", lambda: api.conversations_info(channel="C0NOWHERE"))


def texts(answer):
    return [message["text"] for message in answer["messages"]]


def history(url):
    api = client(url)
    sent = [api.chat_postMessage(channel=PRIVATE, text=f"a {i} 1")["ts"] for i in range(7)]
    pages = api.conversations_history(channel=PRIVATE, oldest=sent[0], latest=sent[6], limit=2)
    check([texts(page) for page in pages], [["a 5 1", "a 4 1"], ["a 3 1", "a 2 1"], ["a 1 1"]])
    last = api.conversations_history(channel=PRIVATE, oldest=sent[4], latest=sent[6])
    check((texts(last), last["has_more"]), (["a 5 1"], False))
    both = api.conversations_history(
        channel=PRIVATE, oldest=sent[5], latest=sent[6], inclusive=True
    )
    check(texts(both), ["a 6 1", "a 5 1"])
    # Without an end, the page is the one that is closest to the beginning.
    check(texts(api.conversations_history(channel=PRIVATE, oldest="0", limit=1)), ["a 0 1"])
    expect("invalid_cursor", lambda: api.conversations_history(channel=PRIVATE, cursor="x"))
    expect("invalid_ts_oldest", lambda: api.conversations_history(channel=PRIVATE, oldest="x"))


def threads(url):
    api = client(url)
    parent = api.chat_postMessage(channel=PRIVATE, text="parent")["ts"]
    api.chat_postMessage(channel=PRIVATE, text="reply", thread_ts=parent)
    check(texts(api.conversations_history(channel=PRIVATE, limit=1)), ["parent"])


def update_and_delete(url):
    api = client(url)
    ts = api.chat_postMessage(channel=PRIVATE, text="a 1 1")["ts"]
    message = {"channel": PRIVATE, "ts": ts}
    api.chat_update(**message, text="a 2 1")
    found = api.conversations_history(channel=PRIVATE, limit=1)["messages"][0]
    check((found["ts"], found["text"], "edited" in found), (ts, "a 2 1", True))
    expect("msg_too_long", lambda: api.chat_update(**message, text="x" * 4001))
    other = client(url, OTHER_TOKEN)
    expect("cant_update_message", lambda: other.chat_update(**message, text="x"))
    expect("cant_delete_message", lambda: other.chat_delete(**message))
    check(api.chat_delete(**message)["ok"], True)
    expect("message_not_found", lambda: api.chat_delete(**message))


def change_elsewhere(url):
    api = client(url)
    for channel, updated, deleted in [
        ("C0ARCHIVE", "is_inactive", "is_archived"),
        ("C0STRANGE", "not_in_channel", "not_in_channel"),
        ("C0NOWHERE", "channel_not_found", "channel_not_found"),
        ("C0METRICS", "message_not_found", "message_not_found"),
    ]:
        message = {"channel": channel, "ts": "1.000001"}
        expect(updated, lambda: api.chat_update(**message, text="x"))
        expect(deleted, lambda: api.chat_delete(**message))


def long_texts(url):
    api = client(url)
    api.chat_postMessage(channel=PRIVATE, text="y" * 4000 + "z" * 100)
    found = texts(api.conversations_history(channel=PRIVATE, limit=2))
    check(found, ["z" * 100, "y" * 4000])
    longest = api.chat_postMessage(channel=PRIVATE, text="y" * 40001)
    check(longest["warning"], "message_truncated")


def users(url):
    check(client(url).users_info(user="U0PERSON")["user"]["name"], "person")
    expect("user_not_found", lambda: client(url).users_info(user="X"))


def scopes(url):
    answer = expect("missing_scope", client(url, FEW_TOKEN).conversations_list)
    check((answer["needed"], answer["provided"]), ("channels:read", "chat:write"))


def scopes_of_private_channels(url):
    few = client(url, FEW_TOKEN)
    for channel, kind in [("C0METRICS", "channels"), (PRIVATE, "groups")]:
        answer = expect("missing_scope", lambda: few.conversations_history(channel=channel))
        check(answer["needed"], kind + ":history")
        answer = expect("missing_scope", lambda: few.conversations_info(channel=channel))
        check(answer["needed"], kind + ":read")


def revoked(url):
    expect("token_revoked", client(url, REVOKED_TOKEN).auth_test)


def too_many(url):
    api = client(url)
    answer = expect("ratelimited", lambda: [api.users_info(user="U0PERSON") for _ in range(51)])
    check((answer.status_code, 1 <= int(answer.headers["Retry-After"]) <= 61), (429, True))


def webhook(url):
    answer = WebhookClient(url + WEBHOOK_PATH).send(text="fallback", blocks=BLOCKS)
    check((answer.status_code, answer.body), (200, "ok"))


def webhook_errors(url):
    answer = WebhookClient(url + "/services/T0/B0/gone").send(text="x")
    check((answer.status_code, answer.body), (404, "no_service"))
    answer = WebhookClient(url + WEBHOOK_PATH).send(text="")
    check((answer.status_code, answer.body), (400, "no_text"))


def upload(url):
    api = client(url)
    thread = api.chat_postMessage(channel=PRIVATE, text="an alert")["ts"]
    answer = api.files_upload_v2(
        filename="curve.png",
        content=b"\x89PNG curve",
        title="Curve",
        alt_txt="a curve",
        channel=PRIVATE,
        thread_ts=thread,
    )
    check([(file["title"], file["name"]) for file in answer["files"]], [("Curve", "curve.png")])


def upload_errors(url):
    api = client(url)
    few = client(url, FEW_TOKEN)
    arguments = {"filename": "x.png", "length": 3}
    answer = expect("missing_scope", lambda: few.files_getUploadURLExternal(**arguments))
    check((answer["needed"], answer["provided"]), ("files:write", "chat:write"))
    expect("missing_argument", lambda: api.files_getUploadURLExternal(filename="x.png", length=0))
    begun = api.files_getUploadURLExternal(**arguments)
    files = [{"id": begun["file_id"], "title": "x"}]
    # Nothing was uploaded.
    expect("file_not_found", lambda: api.files_completeUploadExternal(files=files))
    expect("invalid_arguments", lambda: api.files_completeUploadExternal(files=[]))
    short = urllib.request.Request(begun["upload_url"], data=b"xx", method="POST")
    try:
        urllib.request.urlopen(short)
        raise AssertionError("a file of another length was accepted")
    except urllib.error.HTTPError as error:
        check(error.code, 400)
    arguments = {"channel": "C0NOWHERE", "content": b"xyz", "filename": "x.png"}
    expect("channel_not_found", lambda: api.files_upload_v2(**arguments))


PROOFS = [
    ratelimited,
    auth_test,
    invalid_auth,
    not_authed,
    post,
    post_by_name,
    post_elsewhere,
    post_too_much,
    list_channels,
    info_and_join,
    history,
    threads,
    update_and_delete,
    change_elsewhere,
    long_texts,
    users,
    scopes,
    scopes_of_private_channels,
    revoked,
    upload,
    upload_errors,
    too_many,
    webhook,
    webhook_errors,
]


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    for proof in PROOFS:
        try:
            proof(sys.argv[1])
        except Exception as error:  # whatever it is, it is the proof's failure
            sys.exit(f"failed {proof.__name__}: {error!r}")
        print(f"proved {proof.__name__}", flush=True)


if __name__ == "__main__":
    main()
