"""The result of a check."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Violation:
    """One place where a law does not hold.

    Attributes:
        asset_id: The asset whose chronicle tells more; None if no asset is known.
    """

    asset_id: str | None
    what: str


@dataclass
class Finding:
    """The number of things that were looked at, and the wrong ones."""

    checked: int = 0
    violations: list[Violation] = field(default_factory=list)

    def require(self, holds: bool, asset_id: str | None, what: str) -> None:
        """Look at one thing."""
        self.checked += 1
        if not holds:
            self.violations.append(Violation(asset_id, what))
