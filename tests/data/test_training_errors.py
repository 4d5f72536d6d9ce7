from pathlib import Path

import numpy as np
import pytest

from ecg.data.training_errors import TrainingErrors
from ecg.exceptions import InputError


def test_errors_survive_saving_exactly(tmp_path: Path, errors: TrainingErrors) -> None:
    for written in (errors, TrainingErrors(errors.fold, errors.fitted, None)):
        written.save(tmp_path / "errors.csv")
        back = TrainingErrors.load(tmp_path / "errors.csv")
        np.testing.assert_array_equal(back.fold, written.fold)
        np.testing.assert_array_equal(back.fitted, written.fitted)
        assert (back.held_out is None) == (written.held_out is None)
        if written.held_out is not None:
            np.testing.assert_array_equal(back.held_out, written.held_out)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "fold,fitted\n",
        "fold,fitted,held_out\n0,1.0\n",
        "fold,fitted\n0,x\n",
        "a,b\n1,2\n",
        "fold,fitted\n0,nan\n",
        "fold,fitted,held_out\n-1,1.0,1.0\n",
        "fold,fitted,held_out\n0,1.0,1.0\n2000000000,1.0,1.0\n",
        "\xff",
    ],
)
def test_damaged_errors_are_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "errors.csv"
    path.write_text(content, encoding="latin-1")
    with pytest.raises(InputError, match=r"errors\.csv"):
        TrainingErrors.load(path)
