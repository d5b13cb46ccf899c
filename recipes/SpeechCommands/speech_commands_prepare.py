"""Prepare Speech Commands for keyword spotting in twelve classes, as SUPERB.

Versions 0.01, which SUPERB takes, and 0.02, each with its official test set:
http://download.tensorflow.org/data/speech_commands_v0.01.tar.gz and
http://download.tensorflow.org/data/speech_commands_test_set_v0.01.tar.gz

    python recipes/SpeechCommands/speech_commands_prepare.py \\
        DATA_FOLDER SAVE_FOLDER [TEST_FOLDER]

Authors
 * The d2v_sb developers 2026
"""

from pathlib import Path

from speech_commands_clips import (
    check_speakers,
    find_test_set,
    list_test_clips,
    list_words,
)
from speech_commands_silence import list_silence

from d2v_sb.audio_files import check_choice
from d2v_sb.class_manifests import make_class_manifests
from d2v_sb.preparation_command import preparation_parser, run_preparation


def prepare_speech_commands(
    data_folder,
    save_folder,
    test_folder=None,
    clips_folder=None,
    on_bad_audio="error",
    num_workers=None,
    skip_prep=False,
):
    """Writes ``train.csv``, ``dev.csv`` and ``test.csv`` of words, unknown
    words and silence.

    Words of ``validation_list.txt`` are dev, those of ``testing_list.txt``
    are left out, since the test set's speakers say them, and the others are
    train. Silence is cut out of the background noises. What an earlier run
    made of the same is kept.

    Arguments
    ---------
    data_folder : str or pathlib.Path
        Folder of the words' folders, the lists and ``_background_noise_``.
    save_folder : str or pathlib.Path
        Where the CSV files go, and ``<split>.bad.txt`` where files are bad.
    test_folder : str or pathlib.Path, optional
        The official test set: a folder for each of the twelve classes. By
        default what is called ``speech_commands_test_set_*`` beside the data
        folder or in it.
    clips_folder : str or pathlib.Path, optional
        Where the pieces of silence go; by default ``clips`` in the
        ``save_folder``.
    on_bad_audio : str
        What to do about clips that can not be used as they are: ``error``,
        ``drop`` or ``convert`` (see ``d2v_sb.audio_files.ON_BAD_AUDIO``).
    num_workers : int, optional
        Threads that open audio files.
    skip_prep : bool
        Do nothing.

    Raises
    ------
    DataError
        If the corpus is not there or not as expected, if a speaker is both
        in train and in dev, if a split is empty, if clips can not be used and
        ``on_bad_audio`` is ``error``, or if a file can not be written.

    Example
    -------
    >>> prepare_speech_commands("data", "csv", skip_prep=True)
    """
    if skip_prep:
        return
    check_choice(on_bad_audio)
    # Absolute but not resolved: symbolic links are the user's own names.
    data_folder = Path(data_folder).expanduser().absolute()
    save_folder = Path(save_folder).expanduser().absolute()
    test_folder = Path(test_folder or find_test_set(data_folder))
    test_folder = test_folder.expanduser().absolute()
    clips_folder = Path(clips_folder or save_folder / "clips")
    clips_folder = clips_folder.expanduser().absolute()
    train, dev, faults = list_words(data_folder)
    test = list_test_clips(test_folder)
    check_speakers(train, dev, test)
    train_silence, dev_silence, bad = list_silence(data_folder, clips_folder)
    listings = {
        "train": (train + train_silence, bad),
        "dev": (dev + dev_silence, faults),
        "test": (test, []),
    }
    make_class_manifests(save_folder, listings, on_bad_audio, num_workers)


def main(argv=None):
    """The command line."""
    parser = preparation_parser(__doc__, "the words' folders and lists")
    parser.add_argument(
        "test_folder",
        nargs="?",
        help="the official test set, if not beside or in the data folder",
    )
    parser.add_argument("--clips_folder", help="for pieces of silence")
    run_preparation(prepare_speech_commands, parser, argv)


if __name__ == "__main__":
    main()
