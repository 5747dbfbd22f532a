"""The five stories, in the order they are read."""

from tests.acceptance.stories import (
    manual_retry,
    security,
    success,
    terminal_failure,
    transient_failure,
)
from tests.acceptance.telling import Story

STORIES: tuple[Story, ...] = (
    success.STORY,
    terminal_failure.STORY,
    transient_failure.STORY,
    manual_retry.STORY,
    security.STORY,
)
