"""What an attack is counted by, and the table of all."""

from collections.abc import Container, Sequence
from dataclasses import dataclass, field

HEALTH = 1.0  # seconds within which a probe is to be answered
REFUSED = frozenset({0, *range(400, 500)})  # HTTP statuses; 0 for a connection that is closed without an answer
SHOWN = 20  # failures that are named below the table, for each attack

COLUMNS = ("inputs", "5xx", "hangs", "crashes", "losses", "MB", "growth MB", "health s")


@dataclass
class Result:
    """What an attack did.

    tried : inputs
    server_errors : answers with a status of 500 or more
    hangs : inputs that were neither answered nor closed in time
    crashes : ends of the process, and tracebacks
    losses : invalid inputs that were accepted, and valid ones that were not answered as they should be
    memory : MB at the end; of files, the most that a command took
    growth : MB that the attack added at most; None if it is not measured
    growth_limit : MB that it may add; None for any number
    health : longest time in seconds that a probe took, infinite if it failed; None if there was none
    failures : what failed, in words
    """

    name: str
    tried: int = 0
    server_errors: int = 0
    hangs: int = 0
    crashes: int = 0
    losses: int = 0
    memory: float = 0.0
    growth: float | None = None
    growth_limit: float | None = None
    health: float | None = None
    failures: list[str] = field(default_factory=list)

    @property
    def held(self) -> bool:
        """Whether the attack did no harm."""
        grown = self.growth_limit is not None and self.growth is not None and self.growth >= self.growth_limit
        slow = self.health is not None and self.health >= HEALTH
        return not (self.server_errors or self.hangs or self.crashes or self.losses or grown or slow)

    def answered(self, what: str, status: int | None, accepted: Container[int] = REFUSED) -> None:
        """Count an input by the status of its answer: 0 if the connection was closed, None if neither came in time."""
        self.tried += 1
        if status is None:
            self.hang(what)
        elif status >= 500 and status not in accepted:
            self.server_errors += 1
            self.failures.append(f"{what}: {status}")
        elif status not in accepted:
            self.loss(f"{what}: {status or 'closed without an answer'}")

    def hang(self, what: str, number: int = 1) -> None:
        """Count things that did not end in time."""
        if number > 0:
            self.hangs += number
            self.failures.append(f"{what}: no end" if number == 1 else f"{what}: no end of {number:,}")

    def crash(self, what: str) -> None:
        """Count an end of the process, or a traceback."""
        self.crashes += 1
        self.failures.append(what)

    def loss(self, what: str) -> None:
        """Count something invalid that was accepted, or something valid that was lost."""
        self.losses += 1
        self.failures.append(what)


def table(results: Sequence[Result]) -> str:
    """A line for each attack, and below it the first of its failures."""
    width = max(len(result.name) for result in results)
    lines = [" " * width + "".join(f"{column:>11}" for column in COLUMNS)]
    for result in results:
        counts = (result.tried, result.server_errors, result.hangs, result.crashes, result.losses)
        growth = "" if result.growth is None else f"{result.growth:.0f}"
        health = "" if result.health is None else f"{result.health:.3f}"
        cells = [*(f"{count:,}" for count in counts), f"{result.memory:,.0f}", growth, health]
        mark = "" if result.held else "  FAILED"
        lines.append(f"{result.name:<{width}}" + "".join(f"{cell:>11}" for cell in cells) + mark)
        lines += [f"    {failure}" for failure in result.failures[:SHOWN]]
        if len(result.failures) > SHOWN:
            lines.append(f"    and {len(result.failures) - SHOWN:,} more")
    return "\n".join(lines)
