"""Checks that a fake Slack answers the real client like Slack.

Usage: prove_slack.py http://127.0.0.1:PORT

The fake must be configured to limit the rate of the first request (429, Retry-After: 7).
Prints a line for each proof; exits with 1 at the first that fails.
"""

import sys

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.models.blocks import HeaderBlock, MarkdownTextObject, SectionBlock
from slack_sdk.webhook import WebhookClient

TOKEN = "xoxb-hushhush"
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
    channels = client(url).conversations_list(limit=200)["channels"]
    check([channel["name"] for channel in channels], ["metrics", "archive", "strange"])


def webhook(url):
    answer = WebhookClient(url + WEBHOOK_PATH).send(text="fallback", blocks=BLOCKS)
    check((answer.status_code, answer.body), (200, "ok"))


def webhook_errors(url):
    answer = WebhookClient(url + "/services/T0/B0/gone").send(text="x")
    check((answer.status_code, answer.body), (404, "no_service"))
    answer = WebhookClient(url + WEBHOOK_PATH).send(text="")
    check((answer.status_code, answer.body), (400, "no_text"))


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
