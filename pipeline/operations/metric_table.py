"""The table of every metric: its type, its labels and its meaning.

``docs/metrics.md`` is generated from this module, and a test compares it with the metrics that a
running stack exports.
"""

from collections.abc import Mapping

from pipeline.domain.hold_reasons import HOLDS
from pipeline.domain.states import Status
from pipeline.runtime.metric_families import Kind, Metric

READY_BUCKETS_SEC = (5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600, 21600, 86400)
"""From a clip that is ready at once to a film that waited a day."""

STAGE_BUCKETS_SEC = (0.1, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 10800, 21600)

CALL_BUCKETS_SEC = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20)


def _kept(
    name: str, kind: Kind, labels: tuple[str, ...], meaning: str, buckets: tuple[float, ...] = ()
) -> Metric:
    return Metric(f"khronika_{name}", kind, labels, meaning, buckets)


def _read(name: str, labels: tuple[str, ...], meaning: str) -> Metric:
    return Metric(f"khronika_{name}", Kind.GAUGE, labels, meaning)


KEPT = (
    _kept("assets", Kind.GAUGE, ("status",), "Assets in each state; deleted ones are in none."),
    _kept("failures", Kind.GAUGE, ("code",), "Failed assets that are not deleted, by error code."),
    _kept(
        "held_assets",
        Kind.GAUGE,
        ("reason",),
        "Assets that wait without spending retry budget, by reason.",
    ),
    _kept(
        "assets_ended",
        Kind.COUNTER,
        ("status", "code"),
        "Times that an asset became completed or failed; the code of a failure.",
    ),
    _kept(
        "events",
        Kind.COUNTER,
        ("type", "provider", "code"),
        "Events of the chronicle, by type (docs/events.md), account concerned, and code if any.",
    ),
    _kept(
        "attempts",
        Kind.COUNTER,
        ("provider", "outcome", "code"),
        "Outcomes of attempts: accepted when a provider takes the job, then its end. An outcome"
        " that is corrected later counts again.",
    ),
    _kept(
        "stage_duration_seconds",
        Kind.HISTOGRAM,
        ("stage", "provider", "outcome"),
        "Duration of the stages of an attempt: prepare (claim to call), submit (call to answer),"
        " process (answer to result), with the outcome that ended the stage.",
        STAGE_BUCKETS_SEC,
    ),
    _kept(
        "queue_wait_seconds",
        Kind.HISTOGRAM,
        (),
        "Time from the instant at which an asset was due to its claim.",
        READY_BUCKETS_SEC,
    ),
    _kept(
        "time_to_playable_seconds",
        Kind.HISTOGRAM,
        (),
        "Time from create to the first published manifest.",
        READY_BUCKETS_SEC,
    ),
    _kept(
        "time_to_ready_seconds",
        Kind.HISTOGRAM,
        (),
        "Time from create to completed, of the first generation: the owner's whole wait.",
        READY_BUCKETS_SEC,
    ),
    _kept(
        "callbacks",
        Kind.COUNTER,
        ("provider", "result"),
        "Verified callbacks: stored or unreadable when they arrive, then applied, ignored or dead.",
    ),
    _kept(
        "callback_lag_seconds",
        Kind.HISTOGRAM,
        ("provider",),
        "Time from the arrival of a callback to its end in the inbox.",
        STAGE_BUCKETS_SEC,
    ),
    _kept(
        "provider_calls",
        Kind.COUNTER,
        ("provider", "call", "result"),
        "Calls to a provider account: ok, or the code of the refusal.",
    ),
    _kept(
        "provider_call_seconds",
        Kind.HISTOGRAM,
        ("provider", "call"),
        "Duration of the calls to a provider account.",
        CALL_BUCKETS_SEC,
    ),
)
"""Metrics of the table ``metric_counts``; migration 0021 writes the same names and buckets."""

ALARMING = ("storage_unavailable", "host_unfit")
"""Hold reasons that an operator must look at."""

ALWAYS: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "khronika_assets": tuple((status.value,) for status in Status),
    "khronika_held_assets": tuple((reason,) for reason in (*HOLDS, *ALARMING)),
}
"""Series of these metrics that are 0 and not absent while nothing is counted."""

_OF_ACCOUNT = ("provider",)

READ = (
    _read("figures_missing", (), "Readings of the database that failed at this scrape."),
    _read("queue_depth", ("queue",), "Due work in Postgres; at most 100000 rows are counted."),
    _read("queue_oldest_age_seconds", ("queue",), "Time since the oldest work was due."),
    _read("inbox_depth", (), "Callbacks that are stored and not yet settled."),
    _read("inbox_oldest_age_seconds", (), "Time since the oldest of them arrived."),
    _read("stuck_assets", (), "Live assets whose deadline or lease passed five minutes ago."),
    _read("workers", ("queue",), "Worker processes that consume the queue, seen within a minute."),
    _read("task_run_age_seconds", ("task",), "Time since the periodic task last ran to its end."),
    _read("rollout_percent", (), "Share of the owners whose new videos are taken, 0 to 100."),
    _read("broker_up", (), "1 if the broker answers, else 0."),
    _read("broker_messages", ("queue",), "Messages held by the broker."),
    _read("storage_up", (), "1 if the storage can be written, else 0."),
    _read("cache_purges_owed", (), "Withdrawals that storage or the CDN has not confirmed."),
    _read("cache_purges_oldest_age_seconds", (), "Time since the oldest of them."),
    _read(
        "provider_state",
        ("provider", "state"),
        "1 for the state that operators gave the account, 0 for the other states.",
    ),
    _read(
        "provider_paused",
        _OF_ACCOUNT,
        "1 while the vendor wants no call, else 0.",
    ),
    _read("provider_problem", _OF_ACCOUNT, "1 if the vendor refuses the account, else 0."),
    _read(
        "provider_on_probation",
        _OF_ACCOUNT,
        "1 if the account gets few jobs until the outputs of one pass the gate, else 0.",
    ),
    _read(
        "provider_rejected_successes",
        _OF_ACCOUNT,
        "Successes of the account in a row whose outputs did not pass the gate.",
    ),
    _read("provider_jobs", _OF_ACCOUNT, "Videos that are being processed at the account."),
    _read("provider_releases_owed", _OF_ACCOUNT, "Jobs that the account has still to end."),
    _read(
        "provider_breaker_open",
        _OF_ACCOUNT,
        "1 if new submissions wait because the account does not answer, else 0.",
    ),
    _read(
        "provider_spend_assets", _OF_ACCOUNT, "Videos submitted to the account in this clock hour."
    ),
    _read(
        "provider_spend_media_seconds",
        _OF_ACCOUNT,
        "Seconds of video submitted to the account in this clock hour.",
    ),
    _read(
        "provider_spend_minutes",
        _OF_ACCOUNT,
        "Minutes of video submitted to the account in this clock hour.",
    ),
    _read(
        "provider_cost_hour",
        _OF_ACCOUNT,
        "Estimated cost of encoding in this clock hour, in the operator's currency.",
    ),
    _read(
        "provider_cost_month",
        _OF_ACCOUNT,
        "Estimated cost of encoding in this calendar month (UTC), in the operator's currency.",
    ),
)
"""Metrics that are read at the scrape: due work, the accounts, the broker and the storage."""


def _process(
    name: str, kind: Kind, labels: tuple[str, ...], meaning: str, buckets: tuple[float, ...] = ()
) -> Metric:
    return Metric(f"khronika_{name}", kind, labels, meaning, buckets)


PROCESS = (
    _process(
        "http_request_duration_seconds",
        Kind.HISTOGRAM,
        ("route", "method", "code"),
        "Time until the answer began, by route.",
        (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
    ),
    _process("stream_clients", Kind.GAUGE, (), "Open streams of live status."),
    _process(
        "stream_full",
        Kind.COUNTER,
        (),
        "Streams refused because the process had its fill of them.",
    ),
    _process("publishes", Kind.COUNTER, ("outcome",), "Wakes sent to the broker, by outcome."),
    _process("rate_limited", Kind.COUNTER, ("policy",), "Requests refused by a rate limit."),
    _process("work_refused", Kind.COUNTER, ("work",), "Requests refused beyond the work at once."),
    _process(
        "callbacks_rejected",
        Kind.COUNTER,
        ("provider", "reason"),
        "Callbacks that were answered with 401, by reason.",
    ),
    _process(
        "callbacks_repeated",
        Kind.COUNTER,
        ("provider", "result"),
        "Verified callbacks of an event that is stored: duplicate, or conflict of another body.",
    ),
)
"""Metrics of the API's processes, counted in their memory."""

BY_NAME: Mapping[str, Metric] = {metric.name: metric for metric in (*KEPT, *READ, *PROCESS)}
