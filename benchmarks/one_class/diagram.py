"""The critical-difference diagram (Demšar 2006): mean ranks, and bars over those that a test does not tell apart.

Drawn by scikit-posthocs, whose Nemenyi test takes its quantiles from SciPy; those of aeon's are one detector too high.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from benchmarks.one_class.detectors import OURS
from ecg.evaluation.drawing import ALARMING, CALM, DPI, plain, save


def draw(path: Path, table: pd.DataFrame, title: str) -> None:
    """Draw the mean ranks of the detectors, with the Nemenyi test at 0.05.

    table : a row for each set and detector, with its rank
    """
    import scikit_posthocs  # only the environment of `make peers` has it

    ranks = table.pivot(index="set", columns="detector", values="rank")
    colours = {name: ALARMING if name == OURS else CALM for name in ranks.columns}
    with plain():
        figure = Figure(figsize=(9, 0.8 + 0.25 * len(ranks.columns)), dpi=DPI, layout="constrained")
        axis = figure.subplots()
        scikit_posthocs.critical_difference_diagram(
            ranks.mean(),
            scikit_posthocs.posthoc_nemenyi_friedman(ranks),
            ax=axis,
            color_palette=colours,
            label_fmt_left="{label}  {rank:.2f}",
            text_h_margin=0.06,
            label_fmt_right="{rank:.2f}  {label}",
        )
        for line in axis.lines:  # a bar goes through its detectors in the order of a set, which differs between runs
            if not np.ptp(np.asarray(line.get_ydata())):
                line.set_xdata(np.sort(np.asarray(line.get_xdata())))
        axis.set_title(title, fontsize="medium", loc="left", pad=10)
        save(figure, path)
