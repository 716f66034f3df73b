"""Checks messages with the block models of slack_sdk: their structure, and Slack's limits.

Usage: validate_blocks.py < MESSAGES

Each line is the JSON of a message with `text` and `blocks`. Prints the number of messages; exits with
1 at the first that is invalid.
"""

import json
import sys

from slack_sdk.models.blocks import Block

MAX_BLOCKS = 50
MAX_CHARACTERS = 13_000


def texts(part):
    """All texts in a part of a message."""
    if isinstance(part, dict):
        part = part.values()
    elif not isinstance(part, list):
        return [part] if isinstance(part, str) else []
    return [text for one in part for text in texts(one)]


def validate(message):
    blocks = message["blocks"]
    if not message["text"]:
        raise ValueError("the message has no text for notifications")
    if not 1 <= len(blocks) <= MAX_BLOCKS:
        raise ValueError(f"{len(blocks)} blocks")
    if sum(len(text) for text in texts(blocks)) > MAX_CHARACTERS:
        raise ValueError("too many characters in all blocks")
    for block in blocks:
        parsed = Block.parse(block)
        if parsed is None or parsed.type != block["type"]:
            raise ValueError(f"an unknown block: {block}")
        parsed.validate_json()


def main():
    number = 0
    for line in sys.stdin:
        try:
            validate(json.loads(line))
        except Exception as error:  # whatever it is, the message is invalid
            sys.exit(f"message {number + 1}: {error!r}: {line}")
        number += 1
    print(f"{number} messages are valid")


if __name__ == "__main__":
    main()
