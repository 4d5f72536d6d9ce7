"""Train the ensemble on the normal training beats; write the model that ships and the errors that calibrate it."""

import json
import sys

from dvclive import Live  # type: ignore[attr-defined]

from ecg import params
from ecg.data import beats
from ecg.data.datasets import recording_metadata
from ecg.files import read_bytes, rounded, sha256, write_bytes
from ecg.params import Params
from ecg.training.fitting import Fit, Losses
from ecg.training.scaling import Scaling
from ecg.training.training import train
from stages import METRICS, MODELS, PROCESSED, run

INPUTS = ("fit.npz", "scaling.npz")


def main() -> None:
    settings = params.load()
    normal = beats.load(PROCESSED / "fit.npz").samples
    with Live(str(METRICS / "train"), save_dvc_exp=False, dvcyaml=False) as live:

        def on_epoch(epoch: int, losses: Losses) -> None:
            live.step = epoch
            for kind, loss in losses.items():
                live.log_metric(f"loss/{kind}", rounded(loss))
            live.next_step()
            if not sys.stderr.isatty():  # where there is no progress bar: in the logs of the queue, for example
                say_progress(epoch, settings.train.epochs, losses)

        scaling = Scaling.load(PROCESSED / "scaling.npz")
        trained = train(normal, scaling, settings.train, settings.models, metadata(settings), on_epoch)
        live.summary |= rounded(summary(trained.fit))
    if trained.errors.held_out is None:  # DVC draws both curves, and complains about a file that is not there
        write_bytes(METRICS / "train/plots/metrics/loss/held_out.tsv", b"step\theld_out\n")
    write_bytes(MODELS / "autoencoder.onnx", trained.model)
    write_bytes(MODELS / "autoencoder.safetensors", trained.weights)
    trained.errors.save(MODELS / "errors.csv")


def say_progress(epoch: int, epochs: int, losses: Losses) -> None:
    """Print the losses ten times in all, as "epoch 30 of 100: error 0.0498 fitted, 0.0224 held out"."""
    if epoch * 10 // epochs > (epoch - 1) * 10 // epochs:
        errors = ", ".join(f"{loss:.3g} {kind.replace('_', ' ')}" for kind, loss in losses.items())
        print(f"epoch {epoch} of {epochs}: error {errors}", flush=True)


def summary(fit: Fit) -> dict[str, float]:
    """The shipped model's size and its mean error on normal training beats."""
    record: dict[str, float] = {"parameters": sum(p.numel() for p in fit.ensemble.parameters())}
    record["fitted_error"] = float(fit.fitted_error.mean())
    if fit.held_out_error is not None:
        record["held_out_error"] = float(fit.held_out_error.mean())
    return record


def metadata(settings: Params) -> dict[str, str]:
    """What the model was trained on, for its metadata; what else there is to say stands in provenance.json."""
    recording = settings.fetch.recording.model_dump()
    return {
        **({"recording": json.dumps(recording_metadata(recording))} if settings.fetch.source == "recording" else {}),
        "data_sha256": json.dumps({name: sha256(read_bytes(PROCESSED / name)) for name in INPUTS}),
        "dataset": settings.fetch.dataset,
    }


if __name__ == "__main__":
    run(main)
