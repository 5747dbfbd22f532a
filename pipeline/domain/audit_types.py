"""Events of the audit: one type for each deed of an operator, and for refused callbacks.

``docs/audit.md`` is generated from this module.
"""

from enum import StrEnum


class AuditType(StrEnum):
    """Types of event. The column ``type`` of ``audit_events`` holds these values."""

    SIGNED_IN = "signed_in"
    """Somebody signed in to the console with a token, a key or a link; ``how`` names which."""
    SIGN_IN_REFUSED = "sign_in_refused"
    """A sign-in to the console, or a claim to be an operator, was refused; ``reason`` says why."""
    SIGNED_OUT = "signed_out"
    """An operator ended a session of the console."""
    LINK_MADE = "link_made"
    """An operator made a link that signs in to the console once."""
    CREATE = "create"
    """An operator registered a video for an owner."""
    RETRY = "retry"
    """An operator queued a failed video again."""
    CANCEL = "cancel"
    """An operator ended the processing of a video."""
    REENCODE = "reencode"
    """An operator queued a completed video to be encoded anew."""
    DELETE = "delete"
    """An operator deleted a video."""
    ROLLBACK = "rollback"
    """An operator published a video's previous outputs again."""
    BULK_RETRY = "bulk_retry"
    """An operator began a bulk retry; each video that it queues has a ``retry`` of its own."""
    UPLOAD = "upload"
    """An operator requested an upload ticket for an owner."""
    UPLOAD_COMPLETE = "upload_complete"
    """An operator completed an owner's upload."""
    BACKFILL = "backfill"
    """An operator registered or queued the videos of a page of existing posts."""
    MOVE = "move"
    """An operator began to move the videos of one account to another."""
    ROLLOUT_CHANGED = "rollout_changed"
    """An operator changed the share of the owners that may register videos; ``unmet`` names the
    requirements that were set aside."""
    ROLLOUT_DRILLED = "rollout_drilled"
    """An operator fetched fallback files of published videos; ``broken`` counts those that do not
    play."""
    ROLLOUT_OWNER_ADDED = "rollout_owner_added"
    """An operator let an owner register videos at every stage of the rollout."""
    ROLLOUT_OWNER_REMOVED = "rollout_owner_removed"
    """An operator took an owner off that list."""
    CLEAN = "clean"
    """An operator began to remove files that are not published."""
    MEDIA_READ = "media_read"
    """An operator was given addresses that open signed videos; ``assets`` names them."""
    STREAM_TICKET = "stream_ticket"
    """An operator was given a ticket whose streams show every video, signed ones included."""
    STREAM_OPENED = "stream_opened"
    """An operator's ticket opened a stream; ``posts`` names its posts."""
    DELIVERY_READ = "delivery_read"
    """An operator read the body of a callback."""
    PROVIDER_ENABLE = "provider_enable"
    """An operator gave an account new jobs."""
    PROVIDER_DRAIN = "provider_drain"
    """An operator gave an account no new jobs."""
    PROVIDER_DISABLE = "provider_disable"
    """An operator stopped every call to an account."""
    PROVIDER_RELEASE = "provider_release"
    """An operator ended a job at a vendor that no attempt of ours needs."""
    PROVIDER_WRITE_OFF = "provider_write_off"
    """An operator gave up the releases owed at an account that is not configured any more."""
    SECRET_ROTATED = "secret_rotated"  # noqa: S105 - a name, no secret
    """An operator replaced the secret of an account's callbacks."""
    SECRET_RETIRED = "secret_retired"  # noqa: S105 - a name, no secret
    """An operator ended the overlap of a rotation."""
    KEY_MADE = "key_made"
    """An operator made an API key."""
    KEY_REVOKED = "key_revoked"
    """An operator revoked an API key."""
    CALLBACK_REJECTED = "callback_rejected"
    """A callback was refused before it was stored; ``reason`` says why."""
    CALLBACK_CONFLICT = "callback_conflict"
    """A callback had the id of an earlier one and another body; it was not applied."""
    CALLBACK_IGNORED = "callback_ignored"
    """A stored callback belongs to no job of ours, or could not be confirmed."""
    SUBSCRIPTION_CONFIRMED = "subscription_confirmed"
    """A worker confirmed that an account's topic may send us callbacks."""


OF_OPERATORS = frozenset(AuditType) - {
    AuditType.CALLBACK_REJECTED,
    AuditType.CALLBACK_CONFLICT,
    AuditType.CALLBACK_IGNORED,
    AuditType.SUBSCRIPTION_CONFIRMED,
}
"""Types that only the operators' login writes."""
