"""The corpora that probes are trained on, each by its recipe's preparation.

Authors
 * The d2v_sb developers 2026
"""

import json
import sys
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import NamedTuple

from d2v_sb.atomic import replacing
from d2v_sb.errors import UserError
from d2v_sb.probing.turns import turn

RECIPES = Path(__file__).resolve().parents[1]


class Corpus(NamedTuple):
    """Whose recipe's folder, module and function list a corpus, and with what
    options of it besides those that are given."""

    folder: str
    module: str
    function: str
    options: dict = {}


LIBRISPEECH_100 = {
    "train_splits": ["train-clean-100"],
    "dev_splits": ["dev-clean"],
    "test_splits": ["test-clean", "test-other"],
}
FOUR_EMOTIONS = {"ang": "ang", "hap": "hap", "exc": "hap"}
FOUR_EMOTIONS |= {"neu": "neu", "sad": "sad"}
CORPORA = {
    "librispeech": Corpus(
        "LibriSpeech",
        "librispeech_prepare",
        "prepare_librispeech",
        LIBRISPEECH_100,
    ),
    "buckeye": Corpus("Buckeye", "buckeye_prepare", "prepare_buckeye"),
    "common_voice": Corpus(
        "CommonVoice", "commonvoice_prepare", "prepare_common_voice"
    ),
    "voxceleb": Corpus("VoxCeleb", "voxceleb_prepare", "prepare_voxceleb"),
    "emotion": Corpus(
        "IEMOCAP",
        "iemocap_prepare",
        "prepare_emotion",
        {"labels": FOUR_EMOTIONS, "protocol": "speaker"},
    ),
    "slurp": Corpus("SLURP", "slurp_prepare", "prepare_slurp"),
    "speech_commands": Corpus(
        "SpeechCommands",
        "speech_commands_prepare",
        "prepare_speech_commands",
    ),
    "fluent_commands": Corpus(
        "FluentSpeechCommands",
        "fluent_commands_prepare",
        "prepare_fluent_commands",
    ),
}


def prepare(corpus, data_folder, save_folder, options, fold="."):
    """Lists a corpus as CSV, unless that was done.

    Arguments
    ---------
    corpus : str
        A key of ``CORPORA``, or "csv" for CSV files of one's own, which lie in
        `save_folder`.
    data_folder, save_folder : str
        Where it is, and where the CSV files go. Runs share them: the second
        waits for the first.
    options : dict or None
        Of the preparation's function, besides the corpus's own.
    fold : str
        Of a corpus that is tested in folds, "." for others.

    Raises
    ------
    UserError
        If there is no such corpus or fold, the preparation refuses it, or the
        folder has lists of something else: a run that reads them might be at
        work.
    """
    folder = Path(save_folder)
    if corpus != "csv":
        if corpus not in CORPORA:
            names = ", ".join([*CORPORA, "csv"])
            raise UserError(f"--corpus {corpus}: it is one of {names}")
        with turn(folder, f"preparing {corpus}"):
            options = {**CORPORA[corpus].options, **(options or {})}
            _note(folder, corpus, data_folder, options)
            _call(CORPORA[corpus], data_folder, save_folder, options)
    if fold != "." and not (folder / fold / "train.csv").is_file():
        folds = sorted(p.parent.name for p in folder.glob("*/train.csv"))
        raise UserError(
            f"--fold {fold}: the corpus was prepared in {', '.join(folds)}"
        )


def _note(folder, corpus, data_folder, options):
    """Keeps what lists are made of, and refuses others in their place."""
    path = folder / "prepared.json"
    made_of = {
        "corpus": corpus,
        "data_folder": str(Path(data_folder).absolute()),
    }
    made_of = json.loads(json.dumps({**made_of, "corpus_options": options}))
    if path.is_file():
        before = json.loads(path.read_text(encoding="utf-8"))
        changed = [
            f"{key} {before.get(key)}, now {value}"
            for key, value in made_of.items()
            if before.get(key) != value
        ]
        if changed:
            raise UserError(
                f"{folder} has lists of something else: {'; '.join(changed)}. "
                "Give another --prepared_folder (or --task_name, which names "
                "it), or remove the folder if no run reads it"
            )
        return
    with replacing(path) as beside:
        beside.write_text(json.dumps(made_of, indent=2) + "\n", "utf-8")


def _call(corpus, data_folder, save_folder, options):
    """Recipes' modules lie beside each other, and import so."""
    folder = str(RECIPES / corpus.folder)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    function = getattr(import_module(corpus.module), corpus.function)
    unknown = set(options) - set(signature(function).parameters)
    if unknown:
        known = ", ".join(list(signature(function).parameters)[2:])
        raise UserError(
            f"--corpus_options: {corpus.function} has no "
            f"{', '.join(sorted(unknown))}; it has {known}"
        )
    try:
        function(data_folder, save_folder, **options)
    except UserError as error:
        known = ", ".join(list(signature(function).parameters)[2:])
        raise UserError(
            f"{error}\n(Of these options, here {known} are keys of "
            "--corpus_options.)"
        ) from error
