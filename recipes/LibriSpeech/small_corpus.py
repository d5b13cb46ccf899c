#!/usr/bin/env python3
"""Real speech for pretraining the small encoder, from Debian's archive.

Asterisk's prompts in Spanish, French, Italian and Russian, and the demo's
English ones that are not held out, as FLAC:

    data_folder/asterisk-es/*.flac ... asterisk-ru/*.flac
    data_folder/asterisk-en/           a link to the demo's train-clean
    data_folder/CREDIT.txt             licences and credits

> python recipes/LibriSpeech/small_corpus.py data/small
Speech of your own goes into folders, or links to folders, beside these.

Authors
 * The d2v_sb developers 2026
"""

import shutil
import sys
from pathlib import Path

import soundfile
from demo_corpus import SAMPLE_RATE, decode_g722, make_demo_corpus
from demo_packages import fetch_packages, unpack_package
from tqdm import tqdm

from d2v_sb.errors import DataError, UserError

LANGUAGES = ("es", "fr", "it", "ru")
PACKAGE = "asterisk-core-sounds-{}-g722"
SOUNDS = Path("usr/share/asterisk/sounds")
COPYRIGHT = Path("usr/share/doc") / PACKAGE / "copyright"
MIN_BYTES = 8000  # one second: shorter ones are numbers and beeps


def make_small_corpus(data_folder):
    """Fetches and decodes what is not there yet.

    Arguments
    ---------
    data_folder : str or Path
        Where the corpus goes; the demo's corpus is made beside it.

    Raises
    ------
    DataError
        Where the recordings can not be fetched or decoded.
    """
    data_folder = Path(data_folder).resolve()
    demo = make_demo_corpus(data_folder.with_name("demo"))
    packages = [PACKAGE.format(language) for language in LANGUAGES]
    files = fetch_packages(
        data_folder.with_name(f"{data_folder.name}_packages"), packages
    )
    data_folder.mkdir(parents=True, exist_ok=True)
    credit = [(demo / "CREDIT.txt").read_text("utf-8")]
    for language, package in zip(LANGUAGES, files, strict=True):
        target = data_folder / f"asterisk-{language}"
        work = data_folder / f".{target.name}.partial"
        shutil.rmtree(work, ignore_errors=True)  # of a run that was killed
        unpack_package(package, work)
        copyright_file = Path(str(COPYRIGHT).format(language))
        credit.append((work / copyright_file).read_text("utf-8"))
        if not target.is_dir():
            _decode_all(work / SOUNDS, work / "decoded", language)
            (work / "decoded").replace(target)
        shutil.rmtree(work)
    english = data_folder / "asterisk-en"
    if not english.is_symlink():
        english.symlink_to(demo / "train-clean", target_is_directory=True)
    (data_folder / "CREDIT.txt").write_text("\n\n".join(credit), "utf-8")


def _decode_all(sounds, target, language):
    recordings = [
        path
        for path in sorted(sounds.rglob("*.g722"))
        if path.stat().st_size >= MIN_BYTES
    ]
    if not recordings:
        raise DataError(
            f"the package {PACKAGE.format(language)} has no recordings in "
            f"{SOUNDS}: its layout changed"
        )
    target.mkdir()
    for path in tqdm(recordings, desc=language, unit="clip"):
        name = "-".join(path.relative_to(sounds).with_suffix("").parts[1:])
        soundfile.write(target / f"{name}.flac", decode_g722(path), SAMPLE_RATE)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    try:
        make_small_corpus(sys.argv[1])
    except UserError as error:
        sys.exit(str(error))
