"""What an invariant says."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Violation:
    """One place where the invariant does not hold.

    Attributes:
        asset_id: Whose chronicle tells more; None where no asset is known.
    """

    asset_id: str | None
    what: str


@dataclass
class Finding:
    """How many things were looked at, and which were wrong."""

    checked: int = 0
    violations: list[Violation] = field(default_factory=list)

    def require(self, holds: bool, asset_id: str | None, what: str) -> None:
        """Look at one thing."""
        self.checked += 1
        if not holds:
            self.violations.append(Violation(asset_id, what))
