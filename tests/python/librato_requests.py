"""Makes one call of python-librato.

Usage: librato_requests.py http://127.0.0.1:PORT CALL

Prints the message of the error, if the call raises one of the API.
"""

import sys
from urllib.parse import urlsplit

import librato
from librato import exceptions
from librato.aggregator import Aggregator

TIME = 1700000040


def queue_of_301(api):
    queue = api.new_queue()
    for i in range(301):
        queue.add(f"series.{i}", i, type="counter" if i % 2 else "gauge", source="q")
    queue.submit()


def tagged_queue(api):
    queue = api.new_queue(tags={"service": "api"})
    queue.add("t", 22.1, tags={"location": "attic"})
    queue.add("t", 23, time=TIME)
    queue.add("t", 24, tags={"location": "up"}, inherit_tags=True)
    queue.submit()


def aggregator(api):
    aggregator = Aggregator(api, source="web-1", period=60, measure_time=TIME + 7)
    for value in (42, -1, 7.5):
        aggregator.add("latency", value)
    aggregator.add("size", 5)
    aggregator.submit()


def queued_aggregator(api):
    aggregator = Aggregator(api, source="s", tags={"h": "1"}, period=60, measure_time=TIME + 7)
    aggregator.add("foo", 42)
    aggregator.add_tagged("bar", 5)
    queue = api.new_queue()
    queue.add_aggregator(aggregator)
    queue.submit()


def create_alert(api):
    alert = api.create_alert(
        "attic.hot",
        description="d",
        services=[849],
        rearm_seconds=600,
        conditions=[
            {
                "metric_name": "t",
                "type": "above",
                "threshold": 30,
                "summary_function": "max",
                "duration": 300,
            },
            {"metric_name": "t", "type": "absent", "duration": 600},
        ],
    )
    alert.active = False
    alert.save()


CALLS = {
    "submit": lambda api: api.submit(
        "temperature", 22.5, source="attic", measure_time=TIME, description="in °C", period=60
    ),
    "submit_counter": lambda api: api.submit("connections", 20, type="counter"),
    "submit_tagged": lambda api: api.submit("temperature", 80, tags={"city": "sf"}, time=TIME),
    "queue_of_301": queue_of_301,
    "tagged_queue": tagged_queue,
    "aggregator": aggregator,
    "queued_aggregator": queued_aggregator,
    "list_metrics": lambda api: api.list_metrics(name="a b*é", offset=20, length=10),
    "list_all_metrics": lambda api: list(api.list_all_metrics(length=2)),
    "get": lambda api: api.get("cpu:user", sources=["s1", "s*"], start_time=1, end_time=2),
    "get_measurements": lambda api: api.get_measurements(
        "cpu", duration=86400, resolution=60, tags={"region": "us*", "db": ["a", "b"]}
    ),
    "get_composite": lambda api: api.get_composite('mean(s("t", "*"))', start_time=TIME),
    "update": lambda api: api.update("t", display_name="T", period=60, attributes={"color": "#52D74C"}),
    "create_composite": lambda api: api.create_composite("all", 'sum(s("t", "*"))'),
    "delete": lambda api: api.delete("t"),
    "delete_many": lambda api: api.delete(["a", "b"]),
    "post_annotation": lambda api: api.post_annotation(
        "deploys", title="v91", source="web", start_time=TIME, links=[{"rel": "ci", "href": "https://ci"}]
    ),
    "get_annotation_stream": lambda api: api.get_annotation_stream("deploys", start_time=TIME),
    "delete_annotation_stream": lambda api: api.delete_annotation_stream("deploys"),
    "create_alert": create_alert,
    "delete_alert": lambda api: api.delete_alert("attic.hot"),
    "list_services": lambda api: list(api.list_services()),
    "find_space": lambda api: api.find_space("cpus"),
    "create_space": lambda api: api.create_space("CPUs"),
    "delete_space": lambda api: api.delete_space(129),
    "create_chart": lambda api: api.create_chart(
        "CPU", librato.spaces.Space(api, "CPUs", id=129), streams=[{"metric": "cpu", "source": "web*"}]
    ),
    "delete_chart": lambda api: api.delete_chart(3, 129),
    "rejected": lambda api: api.submit("t", 1),
    "unauthorized": lambda api: api.submit("t", 1),
}


def main():
    if len(sys.argv) != 3 or sys.argv[2] not in CALLS:
        sys.exit(__doc__)
    parts = urlsplit(sys.argv[1])
    api = librato.connect("user@example.com", "tok123", hostname=parts.netloc, protocol=parts.scheme)
    try:
        CALLS[sys.argv[2]](api)
    except exceptions.ClientError as error:
        print(error)


if __name__ == "__main__":
    main()
