"""Settings and connections of a process, made once."""

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from uuid import UUID

from celery import Celery
from sqlalchemy import Engine

from pipeline.media.confinement import require_isolation
from pipeline.media.host_fitness import HostFitness
from pipeline.media.tool_proof import H264
from pipeline.media.tools import Tools, locate_tools
from pipeline.runtime.database import make_engine
from pipeline.runtime.message_signatures import derive_key
from pipeline.runtime.task_publishing import make_producer, send_wakes
from pipeline.runtime.wakes import Wake
from pipeline.storage.base import Storage
from pipeline.storage.open import open_storage
from transcoder.callback_delivery import CallbackSender
from transcoder.scratch_space import has_room
from transcoder.settings import TranscoderSettings, load_settings
from transcoder.task_names import KEY_PREFIX, MESSAGE_PURPOSE

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TranscoderServices:
    """Settings of a process, and the connections made from them."""

    settings: TranscoderSettings
    engine: Engine
    tools: Tools
    storages: Mapping[str, Storage]
    callback_sender: CallbackSender
    producer: Celery
    host: HostFitness

    def has_room(self, job_id: UUID, needed_bytes: int) -> bool:
        """Check that this machine's scratch folder has room for a job."""
        settings = self.settings
        return has_room(settings.scratch, settings.scratch_quota_bytes, job_id, needed_bytes)

    def wake(self, wakes: Sequence[Wake]) -> None:
        """Publish wakes; leave those that the broker does not take to the sweep."""
        if unsent := send_wakes(self.producer, wakes):
            _log.warning("broker away, %d wakes left to the sweep", len(unsent))


def make_services(settings: TranscoderSettings) -> TranscoderServices:
    """Open all that a process needs; a connection is made at its first use.

    Raises:
        ToolsMissing: ffmpeg or ffprobe was not found.
        IsolationMissing: This machine cannot isolate them.
        StorageUrlInvalid: A storage cannot be opened.
    """
    require_isolation(settings.isolation_waive)
    settings.scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
    return TranscoderServices(
        settings=settings,
        engine=make_engine(settings.database_url.get_secret_value(), name="khronika-transcoder"),
        tools=locate_tools(os.environ),
        storages={
            name: open_storage(url, settings.storage_credentials)
            for name, url in settings.storages.items()
        },
        callback_sender=CallbackSender(
            str(settings.callback_url), settings.callback_secrets[0].get_secret_value()
        ),
        producer=make_producer(
            "transcoder",
            settings.broker_url.get_secret_value(),
            key_prefix=KEY_PREFIX,
            message_key=derive_key(settings.token.get_secret_value(), MESSAGE_PURPOSE),
        ),
        host=HostFitness(H264, settings.scratch),
    )


@cache
def process_services() -> TranscoderServices:
    """Return this process's services. Never call it before a fork: sockets must not be shared."""
    return make_services(load_settings())
