"""How the worker runs. Every line says why; the truth is in Postgres, messages are hints."""

from datetime import timedelta

from pipeline.config.settings import load_settings
from pipeline.domain.values import (
    BROKER_KEY_PREFIX,
    QUEUE_RECONCILE,
    QUEUE_SUBMIT,
    QUEUE_SWEEP,
    TASK_POLL,
    TASK_PURGE,
    TASK_RECONCILE,
    TASK_RELEASE,
    TASK_SUBMIT,
    TASK_SWEEP,
    TASK_TIDY,
)

_settings = load_settings()

broker_url = _settings.broker_url.get_secret_value()

# Nobody waits for a task's result: the asset's row is the result.
task_ignore_result = True
task_store_errors_even_if_ignored = False
result_backend = None

# Arguments are ids, so JSON says it all, and a message can carry no code.
task_serializer = "json"
accept_content = ["json"]

# Whoever can write to the broker may send anything: no message ends the worker.
worker_consumer = "worker.admission:AdmittingConsumer"

# A message is acknowledged after its task, so that a worker's loss usually redelivers it. When it
# does not, or when it does twice, the lease in the row decides; a task that kills its worker is
# not redelivered, the sweep takes it over and counts.
task_acks_late = True
task_reject_on_worker_lost = False

# One message in hand for each process: a slow provider call holds up nobody else's work.
worker_prefetch_multiplier = 1

# HTTP call < soft limit < hard limit < lease < visibility timeout: each outer bound only acts when
# the inner one has failed.
task_soft_time_limit = _settings.task_soft_limit_sec
task_time_limit = _settings.task_hard_limit_sec
broker_transport_options = {
    "visibility_timeout": max(900, 4 * _settings.lease_sec),
    # Without a socket timeout a connection that died silently is waited on for ever.
    "socket_timeout": 10,
    "socket_connect_timeout": 1,
    "socket_keepalive": True,
    "health_check_interval": 10,
    "global_keyprefix": BROKER_KEY_PREFIX,
}

# The broker may be away at the start and at any time after: keep trying, for ever.
broker_connection_retry_on_startup = True
broker_connection_max_retries = None

# Tasks publish what they wake; a broker that is away must not hold them, the sweep will repeat it.
task_publish_retry = False

# A queue for each kind of work, so that workers can be given to where the backlog is.
task_default_queue = QUEUE_SUBMIT
task_create_missing_queues = True
task_routes = {
    TASK_SUBMIT: {"queue": QUEUE_SUBMIT},
    TASK_RECONCILE: {"queue": QUEUE_RECONCILE},
    TASK_POLL: {"queue": QUEUE_RECONCILE},
    TASK_RELEASE: {"queue": QUEUE_RECONCILE},
    TASK_SWEEP: {"queue": QUEUE_SWEEP},
    TASK_TIDY: {"queue": QUEUE_SWEEP},
    TASK_PURGE: {"queue": QUEUE_SWEEP},
}

# Flower shows tasks as they happen; it needs their events.
worker_send_task_events = True
task_send_sent_event = True

# Memory that a library leaks is given back now and then.
worker_max_tasks_per_child = 2000

# On SIGTERM tasks in hand may finish for this long; what does not is recovered by its lease.
worker_soft_shutdown_timeout = 10

# Our own log format is set up by the worker; Celery must not take the root logger over.
worker_hijack_root_logger = False

# The beat. A sweep that nobody consumed in time is worth nothing: the next one finds the same.
beat_schedule = {
    "sweep": {
        "task": TASK_SWEEP,
        "schedule": timedelta(seconds=_settings.sweep_every_sec),
        "options": {"expires": 4 * _settings.sweep_every_sec},
    },
    "tidy": {
        "task": TASK_TIDY,
        "schedule": timedelta(hours=1),
        "options": {"expires": 3600},
    },
    "purge": {
        "task": TASK_PURGE,
        "schedule": timedelta(minutes=10),
        "options": {"expires": 600},
    },
}
timezone = "UTC"
