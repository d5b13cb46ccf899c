#!/usr/bin/env python3
"""Speaker verification: equal error rate and detection cost of trial lists.

Takes a model folder that SpeechBrain's SpeakerRecognition loads, such as the
inference folder of the recipe here:
> python recipes/VoxCeleb/verify.py results/d2v_speaker_verification/1986/inference \
      --data_folder data/VoxCeleb --trials veri_test2.txt list_test_all2.txt \
      --output_folder results/d2v_speaker_verification/1986/trials
--cohort train.csv adds scores that are normalised by its speakers, and
--calibration_trials turns scores into log-likelihood ratios by a list of other
trials.

The output folder then holds, for each list, all scores, the measures with
their 95 % intervals over speakers, a picture of the errors, and, for all, the
embeddings: a second run of the same model opens no audio.

Authors
 * The d2v_sb developers 2026
"""

import argparse
import sys
from pathlib import Path
from typing import NamedTuple

import torch
from speechbrain.inference.speaker import SpeakerRecognition
from voxceleb_clips import find_clips
from voxceleb_lists import find_list
from voxceleb_prepare import COLUMNS

from d2v_sb.errors import UserError
from d2v_sb.folders import make_output_folder
from d2v_sb.manifest import stream_rows
from d2v_sb.scoring import Calibration, embed, folder_identity, verify
from d2v_sb.scoring.bootstrap import NUM_RESAMPLES
from d2v_sb.scoring.disjoint import check_calibration_trials, check_cohort
from d2v_sb.scoring.embeddings import BATCH_SECONDS
from d2v_sb.scoring.normalisation import TOP, speaker_means
from d2v_sb.scoring.trials import (
    check_trials,
    keys_of,
    read_trials,
    speakers_of,
)
from d2v_sb.scoring.verification import labels_of, score_trials
from d2v_sb.train_dev import share_of

COHORT_CLIPS = 10


class Task(NamedTuple):
    """What is to be scored, all of it checked."""

    lists: dict  # trials by the name of their list
    held_out: list  # trials to calibrate on
    speakers: dict  # of the cohort's clips, by key
    files: dict  # paths of all clips, by key


def main(argv=None):
    """All is checked before anything is embedded; then a line a list, and a
    second one where there is a cohort."""
    arguments = parse(argv)
    make_output_folder(arguments.output_folder)
    identity = folder_identity(arguments.model_folder)
    check_device(arguments.device)
    task = read_task(arguments)
    model = SpeakerRecognition.from_hparams(
        source=str(arguments.model_folder),
        run_opts={"device": arguments.device},
    )
    embeddings = embed(
        model,
        task.files,
        arguments.output_folder / "embeddings.safetensors",
        identity,
        arguments.batch_seconds,
    )
    score(task, embeddings, arguments)


def parse(argv=None):
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n")[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("model_folder", help="what SpeechBrain's SpeakerRecognition loads")
    add("--data_folder", type=Path, required=True, help="clips, at any depth")
    add(
        "--trials",
        nargs="+",
        required=True,
        help="lists of `1 a.wav b.wav` and `0 a.wav b.wav`, paths or names in "
        "the data folder",
    )
    add("--output_folder", type=Path, required=True, help="for all results")
    add(
        "--clips",
        help="CSV of the trials' clips, such as trials.csv of a training run, "
        "instead of looking for them in the data folder",
    )
    add(
        "--cohort",
        help="CSV of clips of other speakers, such as train.csv, for scores "
        "that are normalised too; those of the calibration are left out",
    )
    add(
        "--cohort_clips",
        type=int,
        default=COHORT_CLIPS,
        help="clips of each speaker of the cohort",
    )
    add(
        "--top",
        type=int,
        default=TOP,
        help="speakers of the cohort that normalise a score (snorm_top)",
    )
    add(
        "--calibration_trials",
        help="list of trials of other speakers, to make log-likelihood ratios",
    )
    add("--device", default="cpu", help="such as cuda:0")
    add(
        "--batch_seconds",
        type=float,
        default=BATCH_SECONDS,
        help="audio that is embedded at a time",
    )
    add(
        "--num_resamples",
        type=int,
        default=NUM_RESAMPLES,
        help="draws of speakers for the intervals",
    )
    return parser.parse_args(argv)


def read_task(arguments):
    """Reads lists and finds clips, and raises a ``UserError`` that says all
    that is wrong with them."""
    lists = read_lists(arguments.trials, arguments.data_folder)
    trials = [trial for some in lists.values() for trial in some]
    held_out = []
    if arguments.calibration_trials:
        path = find_list(arguments.calibration_trials, arguments.data_folder)
        held_out = read_trials(path)
        check_calibration_trials(path, held_out, trials)
    cohort = []
    if arguments.cohort:
        rows = list(stream_rows(arguments.cohort, COLUMNS))
        # Training speakers are those that one has for either.
        calibrated = speakers_of(held_out)
        rows = [row for row in rows if row["spk_id"] not in calibrated]
        check_cohort(arguments.cohort, [row["spk_id"] for row in rows], trials)
        cohort = some_of_each(rows, arguments.cohort_clips)
    if arguments.clips:
        rows = stream_rows(arguments.clips, COLUMNS)
        clips = {row["ID"]: row["wav"] for row in rows}
    else:
        clips = find_clips(arguments.data_folder)
    names = ", ".join([*lists, *filter(None, [arguments.calibration_trials])])
    missing_path = arguments.output_folder / "missing.txt"
    check_trials(names, trials + held_out, clips, missing_path)
    files = {key: clips[key] for key in keys_of(trials + held_out)}
    files |= {row["ID"]: row["wav"] for row in cohort}
    check_endings(files)
    speakers = {row["ID"]: row["spk_id"] for row in cohort}
    return Task(lists, held_out, speakers, files)


def some_of_each(rows, num):
    """Clips of each speaker, so many at most: of millions a mean gains
    nothing. Which, follows from a hash of their names."""
    clips = {}
    for row in sorted(rows, key=share_of):
        own = clips.setdefault(row["spk_id"], [])
        if len(own) < num:
            own.append(row)
    return [row for own in clips.values() for row in own]


def score(task, embeddings, arguments):
    """Scores each list by cosine, and normalised where there is a cohort."""
    systems = {"": {}}
    if task.speakers:
        of_cohort = torch.stack([embeddings[key] for key in task.speakers])
        cohort = speaker_means(of_cohort, list(task.speakers.values()))
        systems["_snorm"] = {"cohort": cohort, "top": arguments.top}
    for suffix, options in systems.items():
        calibration = None
        if task.held_out:
            scores = score_trials(task.held_out, embeddings, **options)
            calibration = Calibration.fit(scores, labels_of(task.held_out))
            path = arguments.output_folder / f"calibration{suffix}.json"
            calibration.save(path)
        for name, some in task.lists.items():
            result = verify(
                name + suffix,
                some,
                embeddings,
                arguments.output_folder,
                calibration=calibration,
                num_resamples=arguments.num_resamples,
                **options,
            )
            print(result, flush=True)


def read_lists(names, data_folder):
    """Trials by what their list is called, its ending left out."""
    lists = {}
    for name in names:
        path = find_list(name, data_folder)
        if path.stem in lists:
            raise UserError(
                f"two lists are called {path.stem}, and so would be their "
                "scores: rename one, or give it its own output folder"
            )
        lists[path.stem] = read_trials(path)
    return lists


def check_endings(files):
    """Raises a ``UserError`` for clips that libsndfile does not read."""
    m4a = [key for key in files if str(files[key]).lower().endswith(".m4a")]
    if m4a:
        raise UserError(
            f"{len(m4a)} of {len(files)} clips are m4a still, first {m4a[0]}: "
            "prepare_voxceleb makes FLAC files of those in its trials"
        )


def check_device(device):
    """Raises a ``UserError`` for a GPU that is not there."""
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise UserError(
            f"--device {device}: torch finds no GPU; leave it out to use the "
            "CPU"
        )


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"\n{error}")
