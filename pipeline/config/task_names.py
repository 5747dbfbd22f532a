"""Tasks and queues of the pipeline, and the wakes that start them."""

from uuid import UUID

from pipeline.runtime.wakes import Wake

QUEUE_SUBMIT = "submit"
QUEUE_RECONCILE = "reconcile"
QUEUE_SWEEP = "sweep"
QUEUES = (QUEUE_SUBMIT, QUEUE_RECONCILE, QUEUE_SWEEP)

BROKER_KEY_PREFIX = "khronika:"
"""Our keys can share a server with the transcoder's and with a site's own."""

MESSAGE_PURPOSE = "khronika.task-message.v1"
"""Purpose of the key that signs task messages."""

TASK_SUBMIT = "khronika.submit_asset"
TASK_RECONCILE = "khronika.reconcile_delivery"
TASK_POLL = "khronika.poll_asset"
TASK_RELEASE = "khronika.release_attempt"
TASK_WITHDRAW = "khronika.withdraw_asset"
TASK_SWEEP = "khronika.sweep"
TASK_TIDY = "khronika.tidy"
TASK_PURGE = "khronika.purge"


def wake_submit(asset_id: UUID) -> Wake:
    """Wake a worker to submit this asset."""
    return Wake(QUEUE_SUBMIT, TASK_SUBMIT, asset_id)


def wake_reconcile(delivery_id: UUID) -> Wake:
    """Wake a worker to apply this delivery of a callback."""
    return Wake(QUEUE_RECONCILE, TASK_RECONCILE, delivery_id)


def wake_poll(asset_id: UUID) -> Wake:
    """Wake a worker to ask the provider about this asset."""
    return Wake(QUEUE_RECONCILE, TASK_POLL, asset_id)


def wake_release(attempt_id: UUID) -> Wake:
    """Wake a worker to give up this attempt's job at its provider."""
    return Wake(QUEUE_RECONCILE, TASK_RELEASE, attempt_id)


def wake_withdraw(asset_id: UUID) -> Wake:
    """Wake a worker to remove this asset from storage and CDN."""
    return Wake(QUEUE_RECONCILE, TASK_WITHDRAW, asset_id)
