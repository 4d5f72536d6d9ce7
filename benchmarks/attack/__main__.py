"""Attack the service and the command line, and count what gets through: `python -m benchmarks.attack`.

After `dvc repro`. Everything happens on this machine; hostile files are made in a temporary folder.
"""

import asyncio
import resource
import sys
from collections.abc import Iterator
from typing import Annotated

import typer

from benchmarks.attack import files, lifecycle, service
from benchmarks.attack.monitor import monitored
from benchmarks.attack.results import Result, table

ENDS = (OSError, EOFError, ExceptionGroup)  # of an attack, if the service is gone or answers something else


def main(
    requests: Annotated[int, typer.Option(min=1, help="Number of requests that memory is not to grow by.")] = 20_000,
    only: Annotated[str, typer.Option(help="Part of the names of attacks; the others are left out.")] = "",
) -> None:
    """Attack the service and the command line; status 1 if anything gets through."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # the attacker holds thousands of connections
    results = []
    for result in run(requests, only):
        results.append(result)
        print(f"{result.name}: {'held' if result.held else 'FAILED'}", file=sys.stderr, flush=True)
    if not results:
        sys.exit(f"no attack is named {only!r}")
    print(table(results))
    sys.exit(not all(result.held for result in results))


def run(requests: int, only: str) -> Iterator[Result]:
    """Run the attacks whose names contain a text."""
    chosen = [attack for attack in service.attacks(requests) if only in attack.name]
    while chosen:
        with lifecycle.service() as target, monitored(target.port) as monitor:
            while chosen:
                attack, result = chosen[0], Result(chosen[0].name)
                monitor.longest()
                try:
                    asyncio.run(service.carry_out(attack, target, result))
                except ENDS as error:
                    result.crash(f"{type(error).__name__}: {error}")
                result.health = monitor.longest()
                lifecycle.died(target, result)
                target.log.write_bytes(b"")
                chosen = chosen[1:]
                yield result
                if not result.held:  # the next attack finds a service that nothing has happened to
                    break
    for name, lifecycle_attack in lifecycle.ATTACKS.items():
        if only in name:
            result = Result(name)
            try:
                asyncio.run(lifecycle_attack(result))
            except (*ENDS, SystemExit) as error:
                result.crash(f"{type(error).__name__}: {error}")
            yield result
    for name, cases in files.GROUPS.items():
        if only in name:
            yield files.run(name, cases())


if __name__ == "__main__":
    typer.run(main)
