"""Architectures of the model of normal hearts, on development patients: `python -m benchmarks.architectures`.

Each is fitted to normal beats of the patients of hearts/params.yaml (from PhysioNet, or from the folder ECG_RECORDS),
and judges each patient by members that have not seen him, in the setting `unseen` of `benchmarks.recordings`. Writes
hearts/architectures.csv and prints it.

tracking         nothing is trained: how much a beat differs from the patient's normal beat, and how early it comes
predictor        predicts the residual and its spread from the context alone: a latent code of size 0
autoencoder      the code adds what varies among normal beats
discriminator    of simulated anomalies, alone, with timing, and with the autoencoder
all              what ships
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import typer
from joblib import Parallel, cpu_count, delayed
from sklearn.metrics import average_precision_score, roc_auc_score
from tqdm import tqdm

from benchmarks.protocol.tables import print_table
from benchmarks.recordings.figures import FEWEST, S, V
from ecg.data.aami import NORMAL
from ecg.files import write_csv
from ecg.hearts import fitting
from ecg.hearts.beats import NormalBeats
from ecg.hearts.context import CUTTING, BeatsInContext, Heart, beats_in_context, follow
from ecg.hearts.model import Calibration, score_of
from ecg.hearts.network import USUAL_EXCESS, earliness, excess_of, parts_of, residual
from ecg.hearts.params import Params
from ecg.recordings.classes import beat_classes
from ecg.recordings.cutting import BeatWindows
from ecg.recordings.reading import open_lead
from ecg.recordings.signals import process_lead
from hearts.train import load, patients_of
from stages import cluster

TABLE = Path("hearts/architectures.csv")
LATENT_SIZES = (0, 2, 8, 16)  # the first is that of the predictor
ALPHA = 0.05
# The weights of the score's terms by variants: shape, discriminator, excess, timing.
WEIGHTS = {
    "tracking": (0.0, 0.0, 1.0, 12.0),
    "autoencoder": (1.0, 0.0, 0.0, 12.0),
    "autoencoder, tracking": (1.0, 0.0, 1.0, 12.0),
    "discriminator": (0.0, 1.0, 0.0, 0.0),
    "discriminator, timing": (0.0, 1.0, 0.0, 12.0),
    "autoencoder, discriminator": (1.0, 0.3, 0.0, 12.0),
}


def main() -> None:
    """Fit the architectures, judge development patients by them, and print how well they do."""
    settings = load()
    names, paths = patients_of(settings.collect)
    read = delayed(_read)
    with cluster.joined():
        parts = Parallel(cpu_count(), return_as="generator")(read(path, settings) for path in paths)
        recordings = list(tqdm(parts, total=len(paths), disable=None))
    normal = NormalBeats.joined([beats for beats, _, _ in recordings])
    own = settings.train.network
    shipped = (own.shape_weight, own.discriminator_weight, own.excess_weight, own.timing_weight)
    rows = []
    for latent in tqdm(LATENT_SIZES, desc="fit", disable=None):
        network = own.model_copy(update={"latent": latent})
        fit = fitting.fit(normal, settings.train.model_copy(update={"network": network}))
        terms = [_terms(fit, i, beats) for i, (_, beats, _) in enumerate(recordings)]
        labels = [labels for _, _, labels in recordings]
        title = f"latent {latent}"
        if latent == own.latent:
            variants = {**WEIGHTS, "all": shipped}
            rows += [_figures(name, title, terms, labels, names, weights) for name, weights in variants.items()]
        else:
            name = "autoencoder" if latent else "predictor"
            rows.append(_figures(name, title, terms, labels, names, WEIGHTS["autoencoder"]))
            rows.append(_figures("all", title, terms, labels, names, shipped))
    table = pd.DataFrame(rows)
    write_csv(TABLE, table)
    print_table(table)


def _read(path: str, settings: Params) -> tuple[NormalBeats, BeatsInContext, np.ndarray]:
    """The normal beats of a recording to fit to, all of its beats, and their classes."""
    with open_lead(path, settings.collect.lead) as raw, process_lead(raw, CUTTING) as lead:
        windows = BeatWindows.find(lead, CUTTING)
        heart = Heart.of(lead, windows)
        context = follow(heart)
        labels = beat_classes(raw.annotations, lead.r_peak_seconds)[windows.r_peaks]
        normal = NormalBeats.of(heart, context, labels, settings.collect.beats)
        return normal, beats_in_context(heart, context, slice(None)), labels


@torch.no_grad()
def _terms(fit: fitting.Fit, patient: int, beats: BeatsInContext) -> list[np.ndarray]:
    """The four terms of the score, each of shape (n, members that have not seen the patient) or (n, 1)."""
    tensors = parts_of(fitting.tensor(beats))
    left, _, features = fit.network.features(*tensors)
    unseen = slice(int(fit.fold[patient]), None, int(fit.fold.max()) + 1)
    shape = fit.network.autoencode(left, features)[1].mean(-1)[unseen].T.numpy()
    discriminator = fit.network.discriminator(features).squeeze(-1)[unseen].T.numpy()
    beat, normal, rhythm, surroundings = tensors
    excess = torch.relu(excess_of(residual(beat, normal)[0], surroundings) - USUAL_EXCESS).unsqueeze(1).numpy()
    return [shape, discriminator, excess, earliness(rhythm, surroundings).unsqueeze(1).numpy()]


def _figures(
    name: str,
    title: str,
    terms: list[list[np.ndarray]],
    labels: list[np.ndarray],
    names: list[str],
    weights: tuple[float, ...],
) -> dict[str, Any]:
    scores = [score_of(np.asarray(sum(w * x for w, x in zip(weights, own, strict=True)))) for own in terms]
    normal = [score[label == NORMAL] for score, label in zip(scores, labels, strict=True)]
    patient = np.repeat(np.arange(len(names)), list(map(len, normal)))
    calibration = Calibration.of(np.concatenate(normal), patient, names, np.zeros(len(names), int), 2, "", ALPHA)
    row: dict[str, Any] = {"architecture": name, "code": title}
    for database in sorted({name.partition("/")[0] for name in names}):
        own = [i for i, name in enumerate(names) if name.startswith(f"{database}/")]
        aucs, precisions = [], []
        for i in own:
            known, abnormal = labels[i] > 0, labels[i][labels[i] > 0] > NORMAL
            if min(abnormal.sum(), (~abnormal).sum()) >= FEWEST:
                aucs.append(roc_auc_score(abnormal, scores[i][known]))
                precisions.append(average_precision_score(abnormal, scores[i][known]))
        row |= {f"{database}: AUC": np.mean(aucs), f"{database}: AP": np.mean(precisions)}
    alarms = [calibration.p(score, name) <= ALPHA for score, name in zip(scores, names, strict=True)]
    joined, verdicts = np.concatenate(labels), np.concatenate(alarms)
    rates = [alarm[label == NORMAL].mean() for alarm, label in zip(alarms, labels, strict=True)]
    row |= {"false alarms": np.mean(rates), "above twice": np.mean(np.array(rates) > 2 * ALPHA)}
    row |= {f"{kind} found": verdicts[joined == label].mean() for kind, label in (("V", V), ("S", S))}
    return row | {"PPV": (joined[verdicts] > NORMAL).sum() / (joined[verdicts] > 0).sum()}


if __name__ == "__main__":
    typer.run(main)
