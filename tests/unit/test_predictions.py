"""What is reported of a classifier's predictions.

Authors
 * The d2v_sb developers 2026
"""

import json

import numpy as np
import pytest
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    confusion_matrix,
    f1_score,
)

from d2v_sb.manifest import write_rows
from d2v_sb.scoring.predictions import (
    COLUMNS,
    TRAINING,
    measure_predictions,
    report,
    summarise_folds,
)


def predictions(num, seed=0, right=0.5):
    """Rows of four classes of unlike frequency, of five speakers."""
    random = np.random.default_rng(seed)
    names = ["ang", "hap", "neu", "sad"]
    rows = []
    for i in range(num):
        label = random.choice(names, p=[0.5, 0.3, 0.15, 0.05])
        guess = label if random.random() < right else random.choice(names)
        row = {"ID": f"{seed}-{i}", "spk_id": f"s{i % 5}", "label": label}
        rows.append({**row, "predicted": guess, "posterior": "0.5"})
    return rows


def test_measures_are_scikit_learns():
    rows = predictions(200)
    result = measure_predictions(rows)
    true = [row["label"] for row in rows]
    guess = [row["predicted"] for row in rows]
    accuracy = 100 * accuracy_score(true, guess)
    assert result["WA"] == pytest.approx(accuracy)
    assert result["UA"] == pytest.approx(
        100 * balanced_accuracy_score(true, guess)
    )
    assert result["F1"] == pytest.approx(
        100 * f1_score(true, guess, average="weighted")
    )
    matrix = confusion_matrix(true, guess, labels=result["classes"])
    assert result["confusion"] == matrix.tolist()
    low, high = result["WA_interval"]
    assert low < accuracy < high
    # The plausible mistake: one for the other.
    assert abs(result["UA"] - accuracy) > 1


def test_intervals_hold_what_they_are_of_where_speakers_are_classes():
    """F1 of resampled speakers is too high then: it has none."""
    random = np.random.default_rng(0)
    rows = []
    for i in range(400):
        speaker = f"s{i % 40}"
        guess = speaker if random.random() < 0.7 else f"s{random.integers(40)}"
        rows.append({"spk_id": speaker, "label": speaker, "predicted": guess})
    result = measure_predictions(rows)
    for name in ("WA", "UA"):
        low, high = result[f"{name}_interval"]
        assert low < result[name] < high
    assert "F1_interval" not in result


def test_of_many_classes_there_is_no_matrix(tmp_path):
    rows = [
        {"spk_id": f"s{i}", "label": f"s{i}", "predicted": "s0"}
        for i in range(40)
    ]
    result = report(rows, tmp_path / "test")
    assert "confusion" not in result and result["WA"] == 2.5
    assert [path.name for path in tmp_path.iterdir()] == ["test.json"]


def test_one_speaker_has_no_interval():
    rows = [{**row, "spk_id": "s"} for row in predictions(20)]
    assert "WA_interval" not in measure_predictions(rows)


def test_a_report_is_a_file_and_a_picture(tmp_path):
    result = report(predictions(50), tmp_path / "test")
    assert json.loads((tmp_path / "test.json").read_text()) == result
    assert (tmp_path / "test.confusion.png").stat().st_size > 1000


def test_folds_are_averaged_and_put_together(tmp_path):
    tests = {"a": predictions(30, 1, 0.9), "b": predictions(90, 2, 0.1)}
    for name, rows in tests.items():
        write_rows(tmp_path / name / "predictions_test.csv", rows, COLUMNS)
        row = dict.fromkeys(TRAINING, "1")
        train = [{**row, "ID": i, "label": "hap"} for i in range(3)]
        train.append({**row, "ID": 9, "label": "ang"})
        write_rows(tmp_path / name / "train.csv", train, TRAINING)
    summary = summarise_folds(tmp_path, list(tests))
    each = [measure_predictions(rows)["WA"] for rows in tests.values()]
    assert summary["mean"]["WA"] == pytest.approx(np.mean(each))
    whole = measure_predictions([*tests["a"], *tests["b"]])
    assert summary["all"] == whole
    assert summary["all"]["WA"] != pytest.approx(summary["mean"]["WA"])
    share = [np.mean([r["label"] == "hap" for r in t]) for t in tests.values()]
    assert summary["majority"]["WA"] == pytest.approx(100 * np.mean(share))
    saved = json.loads((tmp_path / "summary.json").read_text())
    assert saved["folds"]["b"]["utterances"] == 90
