"""The stories of docs/evidence, told and checked without writing them down."""

import pytest

from tests.acceptance import page
from tests.acceptance.exchanges import secrets_in
from tests.acceptance.stage import Stage
from tests.acceptance.stories import STORIES
from tests.acceptance.telling import Story, Telling


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name)
def test_the_story_holds_and_its_page_gives_no_secret_away(stage: Stage, story: Story) -> None:
    telling = Telling()

    story.tell(stage, telling)

    text = page.page_of(story, telling, "")
    assert secrets_in(text, stage.stack.environment) == []
    assert all(f"- {claim}" in text for claims in telling.claims.values() for claim in claims)
