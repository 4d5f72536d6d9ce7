"""What `make repro` says at its end: the figures, where the plots are, and what to do next."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ecg import params
from ecg.files import read_json
from stages import METRICS, PLOTS

EVALUATED = METRICS / "evaluate.json"
TITLES = {"auc": "AUC", "average_precision": "average precision", "f1": "F1"}
COUNTS = ("true_negatives", "false_positives", "false_negatives", "true_positives")


def ending() -> str:
    """Five lines; none where nothing was evaluated."""
    if not EVALUATED.is_file():
        return ""
    dataset, programs = params.read(params.PARAMS)["fetch"]["dataset"], _programs()
    commands = {
        "dvc plots show": "look at it",
        "ecg scan YOUR_FILE": "use it on an ECG of your own",
        "dvc exp run --temp -S calibrate.alpha=0.01": "try another setting",
    }
    lines = [
        f"{dataset}, {figures(read_json(EVALUATED))}",
        f"Plots: in {PLOTS}/, and on one page, dvc_plots/index.html, by the first of these commands:",
        *(f"  {programs + command:<54}  {purpose}" for command, purpose in commands.items()),
    ]
    return "\n" + "".join(f"{line}\n" for line in lines)


def figures(metrics: Mapping[str, Any]) -> str:
    """The figures of metrics/evaluate.json, in a line.

    Examples
    --------
    >>> figures({"threshold": 0.05, "beats": 1200, "alarms": 54, "alarm_rate": 0.045})
    '1,200 test beats: 54 alarms (4.5%)'
    """
    beats = metrics["beats"] if "beats" in metrics else sum(metrics[name] for name in COUNTS)
    if "auc" in metrics:
        said = [f"{title} {metrics[name]:.4f}" for name, title in TITLES.items()]
        said += [f"false alarms {metrics['false_positive_rate']:.1%}"]
    else:
        said = [f"{metrics['alarms']:,} alarms ({metrics['alarm_rate']:.1%})"]
    if "alarms_per_hour" in metrics:
        said += [f"{metrics['alarms_per_hour']:.0f} alarms an hour"]
    return f"{beats:,} test beats: {', '.join(said)}"


def _programs() -> str:
    """What to put before `dvc` and `ecg`: the folder of this environment, if it is not active."""
    inactive = Path(sys.prefix) == Path.cwd() / ".venv" and os.environ.get("VIRTUAL_ENV") != sys.prefix
    return ".venv/bin/" if inactive else ""
