"""Prints the received lines, as a worker of Python Zibrato 0.2 receives them: one per message.

    subscribe.py PORT SUBSCRIPTION COUNT    ends when COUNT different names have come

Prints `ready` once the broker has received the subscription.
"""

import sys

import zmq

port, subscription, count = sys.argv[1:]
socket = zmq.Context().socket(zmq.SUB)
socket.setsockopt(zmq.RCVTIMEO, 30_000)
socket.setsockopt_string(zmq.SUBSCRIBE, subscription)
# The broker publishes the wanted levels every second; by then it knows all earlier subscriptions.
socket.setsockopt_string(zmq.SUBSCRIBE, "zb!levels")
socket.connect("tcp://127.0.0.1:" + port)

assert socket.recv_multipart()[0].startswith(b"zb!levels")
print("ready", flush=True)

names = set()
while len(names) < int(count):
    frames = socket.recv_multipart()
    # Metrics of the broker itself may arrive at any time.
    if frames[0].startswith((b"zb!", b"zibrato|")):
        continue
    assert len(frames) == 1, frames
    line = frames[0].decode()
    assert "\n" not in line, line
    print(line, flush=True)
    names.add(line.split("|")[2])
