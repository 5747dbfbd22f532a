"""The configuration of the worker. Postgres holds the state of every video; messages are hints.

Each setting has its reason beside it.
"""

from datetime import timedelta

from pipeline.config.groups import load_or_exit
from pipeline.config.task_names import (
    BROKER_KEY_PREFIX,
    QUEUE_RECONCILE,
    QUEUE_SUBMIT,
    QUEUE_SWEEP,
    QUEUES,
    TASK_POLL,
    TASK_PURGE,
    TASK_RECONCILE,
    TASK_RELEASE,
    TASK_SUBMIT,
    TASK_SWEEP,
    TASK_TIDY,
    TASK_WITHDRAW,
)
from pipeline.process_settings import FlowerSettings
from pipeline.runtime.task_publishing import task_queue

_settings = load_or_exit(FlowerSettings, "celeryconfig")

broker_url = _settings.broker.broker_url.get_secret_value()

# A task's result is in the asset's row; no process waits for a Celery result.
task_ignore_result = True
task_store_errors_even_if_ignored = False
result_backend = None

# Arguments are ids: JSON can express them, and a JSON message can carry no code.
task_serializer = "json"
accept_content = ["json"]

# Every client of the broker can send any message. This consumer takes only messages that our
# publishers have signed, and neither sends nor reads the messages with which workers steer each
# other (gossip, mingle). It sends heartbeats, which only Flower reads.
worker_consumer = "pipeline.runtime.celery_guard:AdmittingConsumer"

# Every client of the broker could shut workers down, cancel their queues or revoke their tasks.
worker_enable_remote_control = False

# A message is acknowledged after its task, so that the broker redelivers it if the worker is lost.
# If it is redelivered twice or not at all, the lease in the row decides. A task that kills its
# process is not redelivered: the sweep takes the video over and counts the crash.
task_acks_late = True
task_reject_on_worker_lost = False

# Each process reserves one message: no message waits behind a slow provider call.
worker_prefetch_multiplier = 1

# HTTP call < soft limit < hard limit < lease < visibility timeout: each bound acts only after the
# one before it has failed.
task_soft_time_limit = _settings.leases.task_soft_limit_sec
task_time_limit = _settings.leases.task_hard_limit_sec
# A source may take hours to arrive. The limits of a submission count from its last progress, which
# only its own process knows (worker/progress_limits.py): Celery's would count from its beginning.
task_annotations = {TASK_SUBMIT: dict.fromkeys(("soft_time_limit", "time_limit"), 30 * 24 * 3600)}
broker_transport_options = {
    "visibility_timeout": max(900, 4 * _settings.leases.lease_sec),
    # Without it, a read from a half-open connection never ends.
    "socket_timeout": 10,
    "socket_connect_timeout": 1,
    "socket_keepalive": True,
    "health_check_interval": 10,
    "global_keyprefix": BROKER_KEY_PREFIX,
}

# The broker may be away at the start and at any later time: reconnect without limit.
broker_connection_retry_on_startup = True
broker_connection_max_retries = None

# Tasks publish messages for further work. If the broker is away they go on, and the sweep publishes
# the message again.
task_publish_retry = False

# A queue for each kind of work, so that workers can be assigned to the queue with a backlog.
task_default_queue = QUEUE_SUBMIT
task_queues = [task_queue(name) for name in QUEUES]
# A queue that Celery made by itself would be declared by Celery's rules, and only there.
task_create_missing_queues = False
task_routes = {
    TASK_SUBMIT: {"queue": QUEUE_SUBMIT},
    TASK_RECONCILE: {"queue": QUEUE_RECONCILE},
    TASK_POLL: {"queue": QUEUE_RECONCILE},
    TASK_RELEASE: {"queue": QUEUE_RECONCILE},
    TASK_WITHDRAW: {"queue": QUEUE_RECONCILE},
    TASK_SWEEP: {"queue": QUEUE_SWEEP},
    TASK_TIDY: {"queue": QUEUE_SWEEP},
    TASK_PURGE: {"queue": QUEUE_SWEEP},
}

# Flower needs the events of tasks to show them.
worker_send_task_events = True
task_send_sent_event = True

# A fresh process now and then frees memory that a library has leaked.
worker_max_tasks_per_child = 2000

# Seconds until a new process must report that it is up; else Celery kills it. The default of 4 s is
# too short on a busy machine.
worker_proc_alive_timeout = 120

# Seconds that running tasks get after SIGTERM; the lease recovers a task that needs longer.
worker_soft_shutdown_timeout = 10

# The worker sets up our log format; Celery must not replace the root logger.
worker_hijack_root_logger = False

# The beat makes the folder of its --schedule file, which a new machine does not have.
beat_scheduler = "pipeline.runtime.beat_schedule:MadeFolderScheduler"

# The schedule of the beat. A sweep message expires because the next sweep finds the same work.
beat_schedule = {
    "sweep": {
        "task": TASK_SWEEP,
        "schedule": timedelta(seconds=_settings.sweep.sweep_every_sec),
        "options": {"expires": 4 * _settings.sweep.sweep_every_sec},
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
