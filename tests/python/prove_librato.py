"""Checks that a fake Librato answers the real client like Librato.

Usage: prove_librato.py http://127.0.0.1:PORT

Prints a line for each proof; exits with 1 at the first that fails.
"""

import sys
from urllib.parse import urlsplit

import librato
from librato import exceptions
from librato.aggregator import Aggregator

USER, TOKEN = "user@example.com", "tok123"


def connect(url, user=USER, token=TOKEN):
    parts = urlsplit(url)
    return librato.connect(user, token, hostname=parts.netloc, protocol=parts.scheme)


def expect(wanted, text, call):
    """Calls a function, and checks that it raises exactly this exception."""
    try:
        call()
    except exceptions.ClientError as error:
        if type(error) is not wanted or str(error) != text:
            raise AssertionError(f"{type(error).__name__}: {error}") from error
        return
    raise AssertionError(f"nothing raised; expected {wanted.__name__}")


def gauge(url):
    connect(url).submit("temperature", 10, source="attic", measure_time=1700000040)


def counter(url):
    connect(url).submit("connections", 20, type="counter", description="server connections")


def queue_of_301(url):
    queue = connect(url).new_queue()
    for i in range(301):
        queue.add(f"series.{i}", i, source="queue", measure_time=1700000040)
    queue.submit()


def aggregate(url):
    api = connect(url)
    aggregator = Aggregator(api, source="attic", measure_time=1700000040)
    for value in (1, 2, 6):
        aggregator.add("humidity", value)
    aggregator.submit()


def bad_auth(url):
    api = connect(url, token="wrong")
    text = "[401] request: Authorization Required"
    expect(exceptions.Unauthorized, text, lambda: api.submit("temperature", 1))


def bad_name(url):
    api = connect(url)
    text = "[400] params: name: is invalid"
    expect(exceptions.BadRequest, text, lambda: api.submit("two words", 1))


def bad_source(url):
    api = connect(url)
    text = "[400] params: source: is invalid"
    expect(exceptions.BadRequest, text, lambda: api.submit("temperature", 1, source="all"))


def one_bad_entry_spoils_all(url):
    queue = connect(url).new_queue()
    queue.add("spoiled", 1)
    queue.add("two words", 1)
    expect(exceptions.BadRequest, "[400] params: name: is invalid", queue.submit)


PROOFS = [
    gauge,
    counter,
    queue_of_301,
    aggregate,
    bad_auth,
    bad_name,
    bad_source,
    one_bad_entry_spoils_all,
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
