"""Sends measurements of each form with librato-metrics, unchanged but for the address.

    librato_intake.py HOST:PORT USER TOKEN
"""

import sys
import time

import librato
from librato.aggregator import Aggregator
from librato.exceptions import BadRequest, Unauthorized

address, user, token = sys.argv[1:4]


def connect(token=token, **options):
    return librato.connect(user, token, hostname=address, protocol="http", **options)


api = connect()
now = int(time.time())

api.submit("py.temperature", 80.5, description="at home", source="web-1", measure_time=now - 5)
api.submit("py.connections", 1000, type="counter", source="web-1")
api.submit("py.connections", 1025, type="counter", source="web-1")
api.submit("py.connections", 7, type="counter", source="web-1")
api.submit("py.text", "1.25", source="web-1")

with api.new_queue() as queue:
    for number in range(650):
        queue.add("py.queued.%d" % number, number / 2.0, source="web-2")

aggregator = Aggregator(api, source="web-3", period=60)
for value in (4, 1, 7):
    aggregator.add("py.aggregated", value)
aggregator.submit()

queue = api.new_queue(tags={"host": "web-4"})
for value in (2, 5):
    aggregator = Aggregator(api, tags={"host": "web-4"})
    aggregator.add_tagged("py.tagged.sum", value)
    queue.add_aggregator(aggregator)
queue.add("py.tagged", 3.5, tags={"host": "web-4"})
queue.submit()
api.submit("py.sanitized name/x", 6, source="web 5")

api.post_annotation("py.deploys", title="build 7", source="web-1",
                    links=[{"rel": "build", "href": "http://example.com/7"}])

# Clients that look first find what was sent.
assert api.get("py.temperature").description == "at home"
assert len(list(api.list_all_metrics(name="PY.QUEUED"))) == 650

for value in ("x", None, float("nan"), [1]):
    try:
        api.submit("py.bad", value)
        sys.exit("%r is accepted" % (value,))
    except BadRequest:
        pass
try:
    connect(token="wrong").submit("py.bad", 1)
    sys.exit("a wrong token is accepted")
except Unauthorized:
    pass
