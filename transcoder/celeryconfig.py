"""The Celery settings of the transcoder; each has its reason beside it."""

from pipeline.runtime.message_signatures import derive_key
from pipeline.runtime.task_publishing import task_queue
from transcoder.settings import TranscoderBeatSettings, load_or_exit
from transcoder.task_names import (
    ENCODE,
    ENCODE_QUEUE,
    KEY_PREFIX,
    MESSAGE_PURPOSE,
    SWEEP,
    SWEEP_QUEUE,
)

_settings = load_or_exit(TranscoderBeatSettings)

broker_url = _settings.broker_url.get_secret_value()
broker_transport_options = {
    "global_keyprefix": KEY_PREFIX,  # the broker may be shared
    "socket_timeout": 10,  # without it, a read from a half-open connection never ends
    "socket_connect_timeout": 2,
    "socket_keepalive": True,
    "health_check_interval": 25,  # finds a dead connection while the worker is idle
}
# Arguments are ids: JSON can express them, and a JSON message can carry no code.
task_serializer = "json"
accept_content = ["json"]
worker_consumer = "pipeline.runtime.celery_guard:AdmittingConsumer"  # takes signed messages only
task_message_keys = [derive_key(token, MESSAGE_PURPOSE) for token in _settings.tokens]  # accepted
task_message_key = task_message_keys[0]  # signs them
worker_enable_remote_control = False  # else every client of the broker could stop the worker
broker_connection_retry_on_startup = True  # the broker may start after the worker
broker_connection_max_retries = None  # the broker may be away for longer than 100 tries

# scratch.encode_slot bounds the encodes; two more processes stay free for sweeps and callbacks.
worker_concurrency = _settings.concurrency + 2
worker_prefetch_multiplier = 1  # a job reserved behind a long encode would wait for it
worker_proc_alive_timeout = 120  # seconds; Celery kills a process that starts slower (default 4)
worker_send_task_events = True  # Flower shows them
task_send_sent_event = True

# An encode is acknowledged before it runs: it may last for hours, and a broker that redelivers
# would start it twice. Its lease in Postgres survives the worker. There is no time limit because
# an encode ends when its progress stalls, however long it has lasted.
task_acks_late = False
task_time_limit = None
task_soft_time_limit = None

task_ignore_result = True  # Postgres holds the outcome
task_default_queue = SWEEP_QUEUE
task_queues = [task_queue(ENCODE_QUEUE), task_queue(SWEEP_QUEUE)]
task_create_missing_queues = False  # each queue has one declaration, task_queue's
task_routes = {ENCODE: {"queue": ENCODE_QUEUE}}

beat_scheduler = "pipeline.runtime.beat_schedule:MadeFolderScheduler"  # a new machine has no folder
beat_schedule = {
    "sweep": {
        "task": SWEEP,
        "schedule": 5.0,  # seconds; the longest delay that a lost message causes
        "options": {"queue": SWEEP_QUEUE, "expires": 5.0},  # the next sweep replaces an old one
    },
}
timezone = "UTC"
