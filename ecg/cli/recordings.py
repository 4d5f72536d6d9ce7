"""Recordings: find the alarms in one."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from ecg.cli.output import add_models, print_aligned
from ecg.exceptions import needed_for


def add_to(commands: Any) -> None:
    """Declare `scan`."""
    scan = commands.add_parser("scan", help="find the alarms in a recording", description=scan_recording.__doc__)
    scan.add_argument("recording", help="WFDB record, EDF, CSV or NPY; or physionet:DATABASE/RECORD")
    scan.add_argument("--lead", help="its name, or its number from 0 (default: the model's, or the first)")
    scan.add_argument("--rate", type=float, help="samples a second, for files that do not say")
    scan.add_argument("--alpha", type=float, help="accepted false-alarm rate (default: as calibrated)")
    scan.add_argument("--fixed", action="store_true", help="threshold stays the same; it does not follow slow change")
    scan.add_argument("--output", "-o", type=Path, help="folder for alarms, timeline and WFDB annotations")
    scan.add_argument("--json", action="store_true", help="print JSON")
    scan.add_argument("--quiet", "-q", action="store_true", help="no progress")
    scan.set_defaults(run=scan_recording)
    add_models(scan)


def scan_recording(arguments: argparse.Namespace) -> None:
    """Find the alarms in a recording: its beats are cut as the model's were, and scored in their order."""
    from tqdm import tqdm

    from ecg.detector.detector import Detector
    from ecg.params import flat

    detector = Detector.load(arguments.models)
    with needed_for("reading recordings", "recordings"):
        from ecg.scanning.display import clock
        from ecg.scanning.report import write
        from ecg.scanning.scan import scan
    form = "{l_bar}{bar}| {elapsed}<{remaining}"
    with tqdm(total=1, bar_format=form, disable=True if arguments.quiet else None, file=sys.stderr) as bar:
        scanned = scan(
            detector,
            arguments.recording,
            arguments.lead,
            arguments.rate,
            arguments.alpha,
            adaptive=not arguments.fixed,
            follow=lambda share: bar.update(share - bar.n),
        )
    facts = scanned.facts()
    if arguments.output is not None:
        for path in write(scanned, arguments.output):
            print(f"wrote {path}", file=sys.stderr)
    if arguments.json:
        print(json.dumps(facts, indent=2, sort_keys=True))
        return
    for warning in scanned.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    numbers = flat({name: value for name, value in facts.items() if name != "warnings"})
    print_aligned({name: f"{value:.4g}" if isinstance(value, float) else value for name, value in numbers.items()})
    if scanned.strips:
        seconds = scanned.beats.seconds
        print(f"furthest above the threshold  {', '.join(clock(seconds[strip.beat]) for strip in scanned.strips)}")
