"""Assets and events as text for a terminal."""

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
    """Describe an asset's state in a few words of rich markup."""
    status = asset["status"]
    text = f"[{STYLES.get(status, 'white')}]{status}[/]"
    if status == "processing" and asset["progress"] is not None:
        text += f" {asset['progress']:.0f} %"
    if asset["attempt"] > 1:
        text += f" (attempt {asset['attempt']})"
    if asset["hold_reason"]:
        text += f", held: {asset['hold_reason']}"
    elif status == "retrying":
        text += f", again at {_local_time(asset['next_attempt_at'])}"
    return text


def event_line(event: Mapping[str, Any], began_at: datetime) -> Text:
    """Format an event as a line.

    The line has the seconds since ``began_at``, the number and type of the event, its transition,
    actor, attempt and detail.
    """
    took_sec = (datetime.fromisoformat(event["created_at"]) - began_at).total_seconds()
    line = Text(f"+{took_sec:8.2f} s  {event['seq']:>3}  {event['type']:<20}", style="default")
    if event["to_status"]:
        from_status = f"{event['from_status']} → " if event["from_status"] else ""
        line.append(
            f"  {from_status}{event['to_status']}", style=STYLES.get(event["to_status"], "")
        )
    line.append(f"  {printable(event['actor'])}", style="dim")
    if event["attempt"]:
        line.append(f"  attempt {event['attempt']}", style="dim")
    if detail := _plain_members(event["detail"]):
        line.append(f"  {detail}", style="dim")
    return line


def summary(asset: Mapping[str, Any]) -> Text:
    """Describe an asset, one known property a line."""
    size = f"{asset['width']}x{asset['height']}" if asset["width"] else None
    duration = f"{asset['duration_sec']:.2f} s" if asset["duration_sec"] is not None else None
    failure = f"{asset['error_message']} ({asset['error_code']})" if asset["error_code"] else None
    lines = {
        "post": asset["post_id"],
        "asset": asset["id"],
        "status": Text.from_markup(headline(asset)),
        "waits": _hold_sentence(asset),
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


def percent(asset: Mapping[str, Any]) -> float:
    """Return an asset's progress, 0 to 100."""
    return 100.0 if asset["status"] == "completed" else float(asset["progress"] or 0)


def printable(text: str) -> str:
    """Replace control characters: names and messages of others must not steer the terminal."""
    return "".join(
        each if each.isprintable() or each == "\n" else "\N{REPLACEMENT CHARACTER}" for each in text
    )


def _plain_members(detail: Mapping[str, Any]) -> str:
    """Format the strings, numbers and lists of codes of an event's detail; leave out the rest."""
    shown = ((name, _plain(value)) for name, value in detail.items())
    return printable(" ".join(f"{name}={value}" for name, value in shown if value is not None))


def _plain(value: object) -> str | None:
    if isinstance(value, list):
        codes = [row["code"] for row in value if isinstance(row, Mapping) and "code" in row]
        return ",".join(codes) or None
    return str(value) if isinstance(value, (str, int, float)) else None


def _hold_sentence(asset: Mapping[str, Any]) -> str | None:
    message: str | None = asset["hold_message"]
    if message is None or asset["next_attempt_at"] is None:
        return message
    return f"{message} The next check is at {_local_time(asset['next_attempt_at'])}."


def _local_time(instant: str | None) -> str:
    return datetime.fromisoformat(instant).astimezone().strftime("%H:%M:%S") if instant else "once"
