"""Prices of a provider account, and the cost that they make of minutes."""

from dataclasses import dataclass

SEC_PER_MINUTE = 60.0


@dataclass(frozen=True)
class Prices:
    """Prices of a minute of video, in the operator's currency; 0 for a minute without a price.

    Attributes:
        stored_minute: For a month.
    """

    encoded_minute: float = 0.0
    stored_minute: float = 0.0
    delivered_minute: float = 0.0

    def encoding(self, media_sec: float) -> float:
        """Return the estimated cost of encoding this much video."""
        return media_sec / SEC_PER_MINUTE * self.encoded_minute

    def delivery(self, media_sec: float) -> float:
        """Return the estimated cost of delivering this much video to viewers."""
        return media_sec / SEC_PER_MINUTE * self.delivered_minute

    def storage(self, media_sec: float) -> float:
        """Return the estimated cost of storing this much video for a month."""
        return media_sec / SEC_PER_MINUTE * self.stored_minute
