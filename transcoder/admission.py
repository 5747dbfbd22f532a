"""The consumer of the transcoder's task messages: it outlives every one of them."""

from typing import Any

from celery.worker.consumer import Consumer

from pipeline.runtime.celery_guard import admitting


class AdmittingConsumer(Consumer):  # type: ignore[misc]  # Celery has no types
    """Celery's own, that refuses what it would not survive."""

    def create_task_handler(self, *args: Any, **options: Any) -> Any:
        """What is called with each message."""
        handle = super().create_task_handler(*args, **options)
        return admitting(handle, lambda message: self.on_unknown_message(None, message))
