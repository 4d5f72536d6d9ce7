"""Split the raw beats into the parts for training, development and test, and fit the scaling on the training part."""

from ecg import params
from ecg.data import beats
from ecg.data.datasets import dataset_of
from ecg.exceptions import InputError
from ecg.files import read_bytes
from ecg.training.scaling import Scaling
from stages import PROCESSED, raw, run


def main() -> None:
    settings = params.load()
    dataset, normal = settings.fetch.dataset, settings.preprocess.normal_class
    train, test = (beats.parse(read_bytes(path), path.name) for path in raw(dataset))
    is_normal = train.classes == normal
    is_anomalous = dataset_of(settings.fetch.model_dump()).anomalous(train.classes, normal)
    if is_normal.sum() < 2:
        raise InputError(
            f"params.yaml: preprocess.normal_class is {normal}: {dataset}_TRAIN has {is_normal.sum()} such beats; "
            f"its classes are {sorted(set(train.classes.tolist()))}"
        )
    fit = train.where(is_normal)
    beats.save(PROCESSED / "fit.npz", fit)
    beats.save(PROCESSED / "development.npz", train.where(is_anomalous))
    beats.save(PROCESSED / "test.npz", test)
    Scaling.fit(fit.samples, settings.preprocess).save(PROCESSED / "scaling.npz")


if __name__ == "__main__":
    run(main)
