"""A run's folder goes on with what it was trained with.

Authors
 * The d2v_sb developers 2026
"""

import pytest

from d2v_sb.errors import UserError
from d2v_sb.finetuning.run_options import check_run_options

OPTIONS = {
    "lr": 2e-5,
    "head": "mean",
    "crop_seconds": [2.0, 4.0],
    "classes": {"ang": "ang", "exc": None},
    "number_of_updates": 40,
    "num_workers": 4,
    "model": object(),
}


@pytest.fixture
def path(tmp_path):
    """Of a run that has begun."""
    path = tmp_path / "save" / "options.json"
    check_run_options(path, OPTIONS, begun=False)
    return path


@pytest.mark.parametrize(
    "change, said",
    [
        ({"lr": 1e-3}, "lr 2e-05, now 0.001"),
        ({"head": "ecapa"}, "head mean, now ecapa"),
        ({"crop_seconds": 3.0}, r"crop_seconds \[2.0, 4.0\], now 3.0"),
        ({"classes": {"ang": "ang", "exc": "hap"}}, "classes"),
        ({"margin": 0.2}, "margin None, now 0.2"),
        ({"noise_folder": "musan"}, "noise_folder None, now musan"),
    ],
)
def test_other_training_is_refused_by_name(path, change, said):
    with pytest.raises(UserError, match=said):
        check_run_options(path, {**OPTIONS, **change}, begun=True)


def test_length_speed_and_objects_may_change(path):
    changes = {"number_of_updates": 90, "num_workers": 0, "model": object()}
    check_run_options(path, {**OPTIONS, **changes}, begun=True)


def test_what_has_no_checkpoint_begins_anew(path):
    other = {**OPTIONS, "lr": 1e-3}
    check_run_options(path, other, begun=False)
    check_run_options(path, other, begun=True)


def test_a_run_of_an_earlier_version_is_taken_as_it_is(tmp_path):
    check_run_options(tmp_path / "options.json", OPTIONS, begun=True)
    with pytest.raises(UserError):
        check_run_options(
            tmp_path / "options.json", {**OPTIONS, "lr": 1}, begun=True
        )
