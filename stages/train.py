"""Train the ensemble on the normal training beats; write the model that ships and the errors that calibrate it."""

import json
import sys
from functools import partial

from dvclive import Live  # type: ignore[attr-defined]

from ecg import models, params
from ecg.data import beats
from ecg.data.datasets import recording_metadata
from ecg.data.training_errors import TrainingErrors
from ecg.files import read_bytes, rounded, sha256, write_bytes
from ecg.params import Params
from ecg.training import fitting
from ecg.training.export import to_onnx, weights
from ecg.training.scaling import Scaling
from stages import METRICS, MODELS, PROCESSED, run

INPUTS = ("fit.npz", "scaling.npz")


def main() -> None:
    settings = params.load()
    normal = beats.load(PROCESSED / "fit.npz").samples
    build = partial(models.build, settings.train.model, settings.models)
    with Live(str(METRICS / "train"), save_dvc_exp=False, dvcyaml=False) as live:

        def on_epoch(epoch: int, losses: fitting.Losses) -> None:
            live.step = epoch
            for kind, loss in losses.items():
                live.log_metric(f"loss/{kind}", rounded(loss))
            live.next_step()
            if not sys.stderr.isatty():  # where there is no progress bar: in the logs of the queue, for example
                say_progress(epoch, settings.train.epochs, losses)

        fit = fitting.fit(normal, Scaling.load(PROCESSED / "scaling.npz"), build, settings.train, on_epoch)
        live.summary |= rounded(summary(fit))
    if fit.held_out_error is None:  # DVC draws both curves, and complains about a file that is not there
        write_bytes(METRICS / "train/plots/metrics/loss/held_out.tsv", b"step\theld_out\n")
    write_bytes(MODELS / "autoencoder.onnx", to_onnx(fit.ensemble, normal, metadata(settings)))
    write_bytes(MODELS / "autoencoder.safetensors", weights(fit.ensemble))
    TrainingErrors(fit.fold, fit.fitted_error, fit.held_out_error).save(MODELS / "errors.csv")


def say_progress(epoch: int, epochs: int, losses: fitting.Losses) -> None:
    """Print the losses ten times in all, as "epoch 30 of 100: error 0.0498 fitted, 0.0224 held out"."""
    if epoch * 10 // epochs > (epoch - 1) * 10 // epochs:
        errors = ", ".join(f"{loss:.3g} {kind.replace('_', ' ')}" for kind, loss in losses.items())
        print(f"epoch {epoch} of {epochs}: error {errors}", flush=True)


def summary(fit: fitting.Fit) -> dict[str, float]:
    """The shipped model's size and its mean error on normal training beats."""
    record: dict[str, float] = {"parameters": sum(p.numel() for p in fit.ensemble.parameters())}
    record["fitted_error"] = float(fit.fitted_error.mean())
    if fit.held_out_error is not None:
        record["held_out_error"] = float(fit.held_out_error.mean())
    return record


def metadata(settings: Params) -> dict[str, str]:
    """What decides the model, for its metadata; what else there is to say stands beside it, in provenance.json."""
    model = settings.train.model
    # The device is left out: it says where the model was computed, not what.
    decided_by = {"models": {model: settings.models[model]}, "train": settings.train.model_dump(exclude={"device"})}
    recording = settings.fetch.recording.model_dump()
    return {
        **({"recording": json.dumps(recording_metadata(recording))} if settings.fetch.source == "recording" else {}),
        "data_sha256": json.dumps({name: sha256(read_bytes(PROCESSED / name)) for name in INPUTS}),
        "dataset": settings.fetch.dataset,
        "intended_use": "Research and teaching. Not a medical device.",
        "params": json.dumps(decided_by, sort_keys=True),
    }


if __name__ == "__main__":
    run(main)
