"""Tasks and queues of the transcoder, and the wakes that start them."""

from uuid import UUID

from pipeline.runtime.wakes import Wake

ENCODE = "transcoder.encode"
DELIVER = "transcoder.deliver"
SWEEP = "transcoder.sweep"

ENCODE_QUEUE = "transcode"
SWEEP_QUEUE = "transcoder-sweep"

KEY_PREFIX = "transcoder:"
"""Prefix of every key in the broker, which other systems may share."""

MESSAGE_PURPOSE = "khronika.transcoder-message.v1"
"""Purpose of the key that signs task messages."""


def wake_encode(job_id: UUID) -> Wake:
    """Wake a worker to encode this job."""
    return Wake(ENCODE_QUEUE, ENCODE, job_id)


def wake_deliver(callback_id: UUID) -> Wake:
    """Wake a worker to try this callback."""
    return Wake(SWEEP_QUEUE, DELIVER, callback_id)
