"""Train the ensemble on the normal training beats; write the model that ships and the errors that calibrate it."""

from functools import partial

from safetensors.torch import save

from ecg import beats, models, params, training
from ecg.errors import Errors
from ecg.export import to_onnx
from ecg.files import write_bytes, write_csv, write_json
from ecg.scaling import Scaling
from stages import METRICS, MODELS, PLOTS, PROCESSED, run


def main() -> None:
    settings = params.load()
    normal = beats.load(PROCESSED / "fit.npz").samples
    build = partial(models.build, settings.train.model, settings.models)
    fit = training.fit(normal, Scaling.load(PROCESSED / "scaling.npz"), build, settings.train)
    write_bytes(MODELS / "autoencoder.onnx", to_onnx(fit.ensemble, normal))
    write_bytes(MODELS / "autoencoder.safetensors", save(fit.ensemble.state_dict()))
    Errors(fit.fold, fit.fitted_error, fit.held_out_error).save(MODELS / "errors.csv")
    write_csv(PLOTS / "loss.csv", ["kind", "epoch", "loss"], loss_curve(fit))
    write_json(METRICS / "train.json", summary(fit))


def loss_curve(fit: training.Fit) -> list[tuple[str, int, float]]:
    """The loss of each epoch, on the beats that members are fitted to and on those that are held out."""
    losses = {"fitted": fit.fitted_loss} | ({} if fit.held_out_loss is None else {"held_out": fit.held_out_loss})
    return [(kind, epoch, loss) for kind, by_epoch in losses.items() for epoch, loss in enumerate(by_epoch, start=1)]


def summary(fit: training.Fit) -> dict[str, float]:
    """The shipped model's size and its mean error on normal training beats."""
    record: dict[str, float] = {"parameters": sum(p.numel() for p in fit.ensemble.parameters())}
    record["fitted_error"] = float(fit.fitted_error.mean())
    if fit.held_out_error is not None:
        record["held_out_error"] = float(fit.held_out_error.mean())
    return record


if __name__ == "__main__":
    run(main)
