"""Publishes lines like Python Zibrato 0.2: one per message, on a PUB socket that connects.

    publish.py LEGACY_PORT PUBLISHING_PORT    lines to publish on standard input

A PUB socket drops what it sends before the other side has subscribed. So this sends a probe, over
and over, until the broker has published it back.
"""

import os
import sys
import time

import zmq

legacy, publishing = sys.argv[1:]
lines = sys.stdin.read().splitlines()
context = zmq.Context()

echo = context.socket(zmq.SUB)
probe = "probe.%d" % os.getpid()
echo.setsockopt_string(zmq.SUBSCRIBE, probe + "|")
echo.connect("tcp://127.0.0.1:" + publishing)

publisher = context.socket(zmq.PUB)
publisher.connect("tcp://127.0.0.1:" + legacy)

deadline = time.time() + 30
while not echo.poll(50):
    if time.time() > deadline:
        sys.exit("the broker did not publish the probe")
    publisher.send_string("%s|Counter|probe|1|%d|python" % (probe, time.time()))

for line in lines:
    publisher.send_string(line)
context.destroy(linger=10_000)
