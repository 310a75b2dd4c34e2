"""Settings of a training: every fault at once, in files and in Python."""

import pytest

from archioptrx.core.errors import InputError
from archioptrx.training.settings import Training


def test_all_bad_values_are_named_at_once():
    with pytest.raises(InputError) as error:
        Training(epochs=0, learning_rate=-1.0, optimizer="adamm", precision="int8", patience=0, edges_per_step=0)
    assert error.value.faults == (
        "training: epochs: is 0; allowed: 1 or more",
        "training: learning_rate: is -1.0; allowed: 1e-09 or more, 10.0 or less",
        "training: optimizer: is 'adamm'; allowed: adam, adamax, adamw, sgd (did you mean adam?)",
        "training: edges_per_step: is 0; allowed: 1 or more",
        "training: patience: is 0; allowed: 1 or more",
        "training: precision: is 'int8'; allowed: bfloat16, float16, float32",
    )


def test_a_file_s_settings_are_read_and_unknown_ones_named():
    faults: list[str] = []
    settings = Training.read({"epochs": 3, "gradient_clip": None, "learning_rate": 1}, "file: training", faults)
    assert faults == []
    assert settings == Training(epochs=3, gradient_clip=None, learning_rate=1.0)
    assert Training.read({"epochs": 2.5, "epoch": 3}, "file: training", faults) == Training()
    assert faults[0] == "file: training.epochs: is 2.5; allowed: a whole number"
    assert faults[1].startswith("file: training.epoch: is unknown; allowed: ")
    assert faults[1].endswith("(did you mean epochs?)")


def test_round_trip():
    settings = Training(epochs=3, batch_size=2, patience=1)
    assert Training(**settings.to_dict()) == settings
    assert settings.but(epochs=5).epochs == 5
