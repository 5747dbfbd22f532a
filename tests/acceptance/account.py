"""What every story tells of a video: who says what about it, and that all of it agrees."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus

from pipeline.media.frames import is_black, luma_of
from pipeline.media.playlist import Variant
from pipeline.records.models import Attempt
from tests.acceptance import page
from tests.acceptance.books import same_events
from tests.acceptance.exchanges import Exchange
from tests.acceptance.outputs import decode_frame, fetch_published
from tests.acceptance.stage import STRANGER, Stage, Video
from tests.acceptance.telling import Picture, Telling

TERMINAL = frozenset({"job.completed", "job.failed"})
FRAME_AT = 0.4
"""Where frames are taken, as a share of the duration: well inside the first segments."""


def callbacks_of(stage: Stage, video: Video) -> list[Exchange]:
    """Every callback about the video, attempt by attempt, each attempt's terminal one included."""
    found: list[Exchange] = []
    for attempt in stage.books.attempts(video.asset_id):
        if attempt.outcome in {"completed", "failed"} and attempt.provider_job_id:
            stage.tap.await_callback(attempt.provider_job_id, f"job.{attempt.outcome}")
        found += stage.tap.callbacks(str(attempt.id))
    return found


def tell_account(stage: Stage, telling: Telling, video: Video) -> None:
    """Identifiers, callbacks, chronicle, inbox, audit, and who may see it; all held together."""
    telling.videos.append(video)
    callbacks = callbacks_of(stage, video)
    attempts = stage.books.attempts(video.asset_id)
    telling.show(
        page.heading("Identifiers", 3),
        f"Asset {page.code(video.asset_id)} of post {page.code(video.post_id)}, owner "
        f"{page.code(video.owner)}. Its rows of `provider_attempts`; an attempt's id is the job's "
        "id at this provider, and the provider sends the id of the request that made the job "
        "(`provider_request_id`) with each of its callbacks as `X-Request-Id`:",
        page.attempts(attempts),
    )
    _tell_callbacks(stage, telling, callbacks)
    tell_chronicle(stage, telling, video)
    _claim_ties(stage, telling, video, callbacks)
    tell_who_sees(stage, telling, video)


def _tell_callbacks(stage: Stage, telling: Telling, callbacks: Sequence[Exchange]) -> None:
    telling.claim(
        f"Each of the {len(callbacks)} callbacks that the provider sent was answered "
        "`202 stored`, by an API that first wrote it down.",
        all((one.status, one.answer["result"]) == (202, "stored") for one in callbacks),
        [(one.status, one.answer) for one in callbacks],
    )
    ids = [one.header("webhook-id") or "" for one in callbacks]
    rows = stage.books.deliveries(ids)
    telling.claim(
        "The inbox holds exactly these callbacks, one row each.",
        sorted(row.event_id for row in rows) == sorted(ids),
        [row.event_id for row in rows],
    )
    audits = [row for one in callbacks for row in stage.books.audits_of(one.request_id)]
    telling.claim("None of them left an audit row: nothing was refused.", not audits, audits)
    telling.show(
        page.heading("Callbacks", 3),
        "As they passed between the provider and the API:",
        page.callbacks(callbacks),
        *_in_full(callbacks),
        "Their rows of `webhook_deliveries`:",
        page.deliveries(rows),
        "Audit rows about them:",
        page.audits(audits),
    )


def _in_full(callbacks: Sequence[Exchange]) -> list[str]:
    """The first word of the provider, and each last word about an attempt."""
    shown = [one for one in callbacks if one.document["type"] in TERMINAL]
    if callbacks and callbacks[0] not in shown:
        shown.insert(0, callbacks[0])
    return [
        block
        for one in shown
        for block in (f"`{one.document['type']}` in full:", page.exchange(one))
    ]


def tell_chronicle(stage: Stage, telling: Telling, video: Video) -> None:
    """The chronicle, as the table and the owner's API have it."""
    rows = stage.books.events(video.asset_id)
    telling.claim(
        f"The chronicle's {len(rows)} events are numbered from 1 without a gap.",
        [row.seq for row in rows] == list(range(1, len(rows) + 1)),
        [row.seq for row in rows],
    )
    answered = stage.ask("GET", f"/api/video-assets/{video.post_id}/events", as_=video.owner)
    telling.claim(
        "The owner's `GET …/events` is equal to the table: as many events, in order, each member "
        "of each the same.",
        answered.status == HTTPStatus.OK and same_events(answered.answer["events"], rows),
        answered.answer,
    )
    telling.show(
        page.heading("Chronicle", 3),
        "All rows of `video_processing_events` of this asset:",
        page.events(rows),
        page.folded("The same, as the API gives it to the owner", page.exchange(answered)),
    )


def _claim_ties(
    stage: Stage, telling: Telling, video: Video, callbacks: Sequence[Exchange]
) -> None:
    """Hold the identifiers of attempts, callbacks and events against each other."""
    events = stage.books.events(video.asset_id)
    attempts = {str(row.id): row for row in stage.books.attempts(video.asset_id)}
    terminal = [one for one in callbacks if one.document["type"] in TERMINAL]
    by_event_id = {row.provider_event_id: row for row in events if row.provider_event_id}
    for one in terminal:
        row = by_event_id.get(one.header("webhook-id") or "")
        telling.claim(
            f"The event that `{one.document['type']}` caused carries its `webhook-id` as "
            f"`provider_event_id` {page.code(one.header('webhook-id'))} and its job as "
            f"`provider_job_id`.",
            row is not None and row.provider_job_id == one.document["data"]["job"]["id"],
            row and row.provider_job_id,
        )
    strays = [one for one in callbacks if not _is_of(attempts, one)]
    telling.claim(
        "Every callback carries the job id and the request id that its attempt's row has.",
        not strays,
        [one.headers for one in strays],
    )


def _is_of(attempts: Mapping[str, Attempt], callback: Exchange) -> bool:
    """Whether the callback's identifiers are those of an attempt of ours."""
    job_id = callback.document["data"]["job"]["id"]
    attempt = attempts[job_id]
    ours = (attempt.provider_job_id, attempt.provider_request_id)
    return ours == (job_id, callback.header("X-Request-Id"))


def tell_who_sees(stage: Stage, telling: Telling, video: Video) -> None:
    """The refusals that a stranger gets."""
    path = f"/api/video-assets/{video.post_id}"
    refusals = [stage.ask("GET", address, as_=STRANGER) for address in (path, f"{path}/events")]
    telling.claim(
        "To a stranger with a valid token the asset and its chronicle do not exist: "
        "404 `post_not_found`.",
        all((one.status, one.answer["code"]) == (404, "post_not_found") for one in refusals),
        [one.status for one in refusals],
    )
    telling.show(
        page.heading("Who sees it", 3),
        "The owner, whose chronicle was compared above with the table. A stranger does not:",
        page.exchange(refusals[1]),
    )


def tell_pictures(stage: Stage, telling: Telling, video: Video, name: str) -> None:
    """Fetch what was published as a player would, and show the poster and decoded frames.

    Args:
        name: What the pictures' files begin with.
    """
    asset = stage.asset(video)
    published = fetch_published(asset, stage.folder / str(video.asset_id))
    poster = Picture(f"{name}-poster.jpg", published.poster.read_bytes(), "Poster")
    pictures = [poster]
    for rendition in sorted(published.renditions, key=lambda one: -(one.variant.height or 0)):
        frame = decode_frame(rendition, FRAME_AT * asset["duration_sec"], stage.tools)
        telling.claim(
            f"A frame decoded from the rendition {_size(rendition.variant)} is not black.",
            not is_black(luma_of(frame, stage.tools)),
        )
        caption = f"Frame decoded from the rendition {_size(rendition.variant)}"
        label = f"{name}-{rendition.folder.name}.jpg"
        pictures.append(Picture(label, frame.read_bytes(), caption))
    telling.claim("The poster is not black.", not is_black(luma_of(published.poster, stage.tools)))
    telling.pictures += pictures
    telling.show(
        page.heading("What plays", 3),
        f"`GET {asset['manifest_url']}` and everything it leads to, fetched without a token:",
        page.gallery(pictures),
    )


def _size(variant: Variant) -> str:
    return f"{variant.width}x{variant.height}"
