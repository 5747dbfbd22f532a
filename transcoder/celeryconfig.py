"""Celery's settings for the transcoder; every line says why."""

from transcoder.dispatch import ENCODE, ENCODE_QUEUE, KEY_PREFIX, SWEEP, SWEEP_QUEUE
from transcoder.settings import load_settings

_settings = load_settings()

broker_url = _settings.broker_url.get_secret_value()
broker_transport_options = {
    "global_keyprefix": KEY_PREFIX,  # the broker may be shared
    "socket_timeout": 10,  # without one, a half-open connection is waited on for ever
    "socket_connect_timeout": 2,
    "socket_keepalive": True,
    "health_check_interval": 25,  # finds a dead connection while nothing is to do
}
# Arguments are ids: JSON says it all, and a message can carry no code.
task_serializer = "json"
accept_content = ["json"]
worker_consumer = "transcoder.admission:AdmittingConsumer"  # no message ends the worker
broker_connection_retry_on_startup = True  # the broker may start after us
broker_connection_max_retries = None  # and may be away for longer than 100 tries

# Encodes plus two processes that stay free for sweeps and callbacks: scratch.slot bounds encodes.
worker_concurrency = _settings.concurrency + 2
worker_prefetch_multiplier = 1  # a job reserved behind a long encode would wait for it
worker_send_task_events = True  # a person watches in Flower
task_send_sent_event = True

# An encode is acknowledged before it runs: it may last for hours, and a broker that redelivers
# would start it twice. Its lease in Postgres is what survives a worker. For the same reason there
# is no time limit: stalled progress ends an encode, duration does not.
task_acks_late = False
task_time_limit = None
task_soft_time_limit = None

task_ignore_result = True  # Postgres holds the outcome
task_default_queue = SWEEP_QUEUE
task_routes = {ENCODE: {"queue": ENCODE_QUEUE}}

beat_schedule = {
    "sweep": {
        "task": SWEEP,
        "schedule": 5.0,  # how late a lost message can make anything
        "options": {"queue": SWEEP_QUEUE, "expires": 5.0},  # an old wake says nothing new
    },
}
timezone = "UTC"
