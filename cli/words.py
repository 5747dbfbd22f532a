"""Assets and events in words, for a person at a terminal."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from rich.text import Text

STYLES = {
    "queued": "cyan",
    "processing": "blue",
    "retrying": "yellow",
    "completed": "green",
    "failed": "red",
}


def headline(asset: Mapping[str, Any]) -> str:
    """Where an asset is, in a few words (rich markup)."""
    status = asset["status"]
    words = f"[{STYLES.get(status, 'white')}]{status}[/]"
    if status == "processing" and asset["progress"] is not None:
        words += f" {asset['progress']:.0f} %"
    if asset["attempt"] > 1:
        words += f" (attempt {asset['attempt']})"
    if asset["hold_reason"]:
        words += f", held: {asset['hold_reason']}"
    elif status == "retrying":
        words += f", again at {_local_time(asset['next_attempt_at'])}"
    return words


def event_line(event: Mapping[str, Any], began_at: datetime) -> Text:
    """One event as a line: how long after ``began_at``, what, from where to where, by whom."""
    took_sec = (datetime.fromisoformat(event["created_at"]) - began_at).total_seconds()
    line = Text(f"+{took_sec:8.2f} s  {event['seq']:>3}  {event['type']:<20}", style="default")
    if event["to_status"]:
        came_from = f"{event['from_status']} → " if event["from_status"] else ""
        line.append(f"  {came_from}{event['to_status']}", style=STYLES.get(event["to_status"], ""))
    line.append(f"  {printable(event['actor'])}", style="dim")
    if event["attempt"]:
        line.append(f"  attempt {event['attempt']}", style="dim")
    if said := _said(event["detail"]):
        line.append(f"  {said}", style="dim")
    return line


def summary(asset: Mapping[str, Any]) -> Text:
    """What a person wants to know of an asset, a line each."""
    size = f"{asset['width']}x{asset['height']}" if asset["width"] else None
    duration = f"{asset['duration_sec']:.2f} s" if asset["duration_sec"] is not None else None
    failure = f"{asset['error_message']} ({asset['error_code']})" if asset["error_code"] else None
    lines = {
        "post": asset["post_id"],
        "asset": asset["id"],
        "status": Text.from_markup(headline(asset)),
        "waits": _wait(asset),
        "failure": failure,
        "playable": "yes" if asset["playable"] else "no",
        "duration": duration,
        "size": size,
        "manifest": asset["manifest_url"],
        "fallback": asset["fallback_url"],
        "poster": asset["poster_url"],
        "provider": " ".join(filter(None, (asset["provider"], asset["provider_job_id"]))),
    }
    return Text("\n").join(
        Text.assemble(
            (f"{name:<10}", "dim"), value if isinstance(value, Text) else printable(str(value))
        )
        for name, value in lines.items()
        if value
    )


def printable(words: str) -> str:
    """Without what would steer the terminal: names and messages come from strangers."""
    return "".join(
        each if each.isprintable() or each == "\n" else "\N{REPLACEMENT CHARACTER}"
        for each in words
    )


def _said(detail: Mapping[str, Any]) -> str:
    """What fits on a line of an event's detail."""
    plain = (str, int, float)
    said = (f"{name}={value}" for name, value in detail.items() if isinstance(value, plain))
    return printable(" ".join(said))


def percent(asset: Mapping[str, Any]) -> float:
    """How far it is, 0 to 100."""
    return 100.0 if asset["status"] == "completed" else float(asset["progress"] or 0)


def _wait(asset: Mapping[str, Any]) -> str | None:
    message: str | None = asset["hold_message"]
    if message is None or asset["next_attempt_at"] is None:
        return message
    return f"{message} It is looked at again at {_local_time(asset['next_attempt_at'])}."


def _local_time(instant: str | None) -> str:
    return datetime.fromisoformat(instant).astimezone().strftime("%H:%M:%S") if instant else "once"
