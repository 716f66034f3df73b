"""Sends every type of measurement with the clients statsd and datadog.

    statsd_clients.py STATSD_PORT DOGSTATSD_PORT STATSD_STREAM DOGSTATSD_STREAM DOGSTATSD_PACKETS
"""

import random
import sys
import time
from datetime import timedelta

import datadog.dogstatsd.base
import statsd
from datadog.dogstatsd.base import DogStatsd

statsd_port, dogstatsd_port = int(sys.argv[1]), int(sys.argv[2])
statsd_stream, dogstatsd_stream, dogstatsd_packets = sys.argv[3:6]

# Sampled measurements are always sent, so that their number is known.
random.random = lambda: 0.0
datadog.dogstatsd.base.random = random.random


def send_with_statsd(client):
    client.incr("hits")
    client.incr("hits", 4)
    client.decr("hits", 2)
    client.incr("sampled", 3, rate=0.25)
    client.gauge("depth", 5)
    client.gauge("depth", -2, delta=True)
    client.gauge("depth", 3.5, delta=True)
    client.gauge("cold", -7)
    client.timing("query", 500)
    client.timing("query", timedelta(milliseconds=250))
    client.timing("rare", 125, rate=0.5)
    with client.timer("block"):
        pass
    client.set("users", "anna")
    client.set("users", "bob")
    client.set("users", "anna")
    with client.pipeline() as pipe:
        pipe.incr("piped", 2)
        pipe.gauge("piped_depth", 9)
    client.close()


def send_with_datadog(client):
    client.increment("hits", tags=["env:prod", "canary"])
    client.increment("hits", 4, tags=["env:prod", "canary"])
    client.decrement("hits", 2, tags=["env:prod", "canary"])
    client.increment("sampled", 3, sample_rate=0.25)
    client.count("counted", 2.5)
    client.count_with_timestamp("counted", 7, int(time.time()))
    client.gauge("depth", 5)
    client.gauge("depth", -2)
    client.gauge_with_timestamp("past", 6, 1700000000)
    client.gauge("low", 1, cardinality="low")
    client.histogram("size", 512)
    client.histogram("size", -1.5)
    client.histogram("rare", 8, sample_rate=0.5)
    client.distribution("spread", 3, tags=["a:b:c"])
    client.timing("query", 500)
    client.timing("query", 250)
    with client.timed("block"):
        pass
    client.set("users", "anna")
    client.set("users", "bob:smith")
    client.event("deployed", "version 2\nis out", tags=["env:prod"])
    client.service_check("db", DogStatsd.OK, tags=["env:prod"], message="fine")
    client.flush()
    client.close_socket()


def datadog_client(namespace, **where):
    # The queue of a Unix socket for packets has room for ten of them.
    return DogStatsd(
        namespace=namespace,
        disable_telemetry=True,
        container_id="0123ef",
        socket_timeout=10,
        use_ms=True,
        **where,
    )


send_with_statsd(statsd.StatsClient("127.0.0.1", statsd_port, prefix="udp"))
send_with_statsd(statsd.TCPStatsClient("127.0.0.1", statsd_port, prefix="tcp"))
send_with_statsd(statsd.UnixSocketStatsClient(statsd_stream, prefix="unix"))

udp = {"host": "127.0.0.1", "port": dogstatsd_port}
send_with_datadog(datadog_client("dd_udp", **udp))
send_with_datadog(datadog_client("dd_buffered", disable_buffering=False, **udp))
send_with_datadog(datadog_client("dd_unixgram", socket_path="unixgram://" + dogstatsd_packets))
send_with_datadog(datadog_client("dd_unixstream", socket_path="unixstream://" + dogstatsd_stream))
