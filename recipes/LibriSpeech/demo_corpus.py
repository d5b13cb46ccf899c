"""A small corpus of real speech from Debian, laid out as LibriSpeech.

Asterisk's telephone prompts are read by one professional speaker, transcribed,
free (CC BY-SA 3.0) and packaged by Debian, so a demo can train a tiny model on
human speech in minutes, without the gigabytes of LibriSpeech:

    data_folder/train-clean/1/1/1-1-0000.flac ... 1-1.trans.txt
    data_folder/dev-clean/1/2/...   test-clean/1/3/...
    data_folder/CREDIT.txt          licence and credit
    data_folder/SOURCE.tsv          utterance id -> name in the archive

All splits share the one speaker and much of the vocabulary, so a word error
rate on it shows that training works and compares with nothing else.

Authors
 * The d2v_sb developers 2026
"""

import gzip
import hashlib
import shutil
import sys
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
from demo_packages import fetch_packages, unpack_package
from demo_text import Unusable, normalise
from tqdm import tqdm

from d2v_sb.errors import DataError, UserError

DOCUMENTS = Path("usr/share/doc/asterisk-core-sounds-en")
SOUNDS = Path("usr/share/asterisk/sounds/en_US_f_Allison")

SAMPLE_RATE = 16000  # Hz
BYTES_PER_SECOND = 8000  # G.722 at 64 kbit/s, without a header
MAX_SECONDS = 12.0
FRAMES_PER_SECOND = 50  # of the encoder, for the alignment condition

SPEAKER = 1
CHAPTERS = {"train-clean": 1, "dev-clean": 2, "test-clean": 3}
# Only sentences are held out; isolated words, letters and digits all train.
# These shares of the sentences are about 10 and 5 % of all clips.
TEST_SHARE = 0.24
DEV_SHARE = 0.11
SENTENCE_WORDS = 4

CREDIT = (
    "Asterisk core sounds, recorded by Allison Smith, funded by Digium, Inc.; "
    "CC BY-SA 3.0"
)
CREDIT_TEXT = """{credit}
https://creativecommons.org/licenses/by-sa/3.0/

Source: the Debian packages {packages}.
Changed: decoded from G.722 to FLAC, transcripts spelled in LibriSpeech's
alphabet, a selection of the clips split into train, dev and test.
A copy that you pass on keeps this licence and this credit.

The packages' own copyright file follows.

{copyright}"""


class Clip(NamedTuple):
    """One recording and what is said in it."""

    name: str
    words: str
    recording: Path

    @property
    def seconds(self):
        """Duration, exact because the coding has a constant rate."""
        return self.recording.stat().st_size / BYTES_PER_SECOND


def choose_split(words):
    """Assigns a transcript, so that a sentence is never in two splits.

    Arguments
    ---------
    words : str
        A normalised transcript.

    Returns
    -------
    str
        A key of ``CHAPTERS``.

    Example
    -------
    >>> choose_split("SEVEN")
    'train-clean'
    """
    # Letters that are spelled out are no words of a sentence.
    if sum(len(word) > 1 for word in words.split()) < SENTENCE_WORDS:
        return "train-clean"
    digest = hashlib.sha256(words.encode()).digest()
    position = int.from_bytes(digest[:8], "big") / 2**64
    if position < TEST_SHARE:
        return "test-clean"
    return "dev-clean" if position < TEST_SHARE + DEV_SHARE else "train-clean"


def _read_clips(root):
    """The clips to train on, sorted by name, and a count of each reason not."""
    clips, skipped = [], Counter()
    transcripts = root / DOCUMENTS / "core-sounds-en.txt.gz"
    with gzip.open(transcripts, "rt", encoding="utf-8") as file:
        for line in sorted(file):
            name, colon, text = line.strip().partition(":")
            if line.startswith(";") or not colon:
                continue
            recording = root / SOUNDS / f"{name}.g722"
            try:
                clip = Clip(name, normalise(text), recording)
                _check(clip)
                clips.append(clip)
            except Unusable as reason:
                skipped[str(reason)] += 1
    return clips, skipped


def _check(clip):
    if not clip.recording.is_file():
        raise Unusable("no recording")
    if clip.seconds > MAX_SECONDS:
        raise Unusable(f"longer than {MAX_SECONDS:g} s")
    # CTC needs a frame a character and a blank between equal neighbours. This
    # is the only lower bound: no word among the prompts is shorter than 0.5 s.
    repeated = sum(a == b for a, b in zip(clip.words, clip.words[1:]))
    if clip.seconds * FRAMES_PER_SECOND < len(clip.words) + repeated:
        raise Unusable("too short for its transcript")


def decode_g722(path):
    """The int16 samples (N,) at 16 kHz of a G.722 file."""
    try:
        import av  # only the demo needs it
    except ImportError as error:
        raise DataError(
            "The demo decodes its recordings with PyAV: pip install av"
        ) from error
    with av.open(str(path), format="g722") as container:
        frames = [frame.to_ndarray() for frame in container.decode(audio=0)]
    samples = np.concatenate(frames, axis=1)[0]
    # Two samples a byte. The rate that a container names is not to be trusted:
    # G.722 is often labelled with the 8 kHz of its RTP clock (RFC 3551).
    expected = 2 * path.stat().st_size
    if len(samples) != expected:
        raise DataError(
            f"{path.name}: PyAV {av.__version__} decoded {len(samples)} "
            f"samples where {expected} are due. Try another version of PyAV."
        )
    return samples


def _write_corpus(clips, folder):
    """Writes LibriSpeech's folders; returns (clips, minutes) of each split."""
    totals = dict.fromkeys(CHAPTERS, (0, 0.0))
    sources = ["id\tsplit\tname\tseconds"]
    for clip in tqdm(clips, desc="decoding", unit="clip", dynamic_ncols=True):
        split = choose_split(clip.words)
        chapter = folder / split / f"{SPEAKER}/{CHAPTERS[split]}"
        chapter.mkdir(parents=True, exist_ok=True)
        count, minutes = totals[split]
        totals[split] = (count + 1, minutes + clip.seconds / 60)
        utterance = f"{SPEAKER}-{CHAPTERS[split]}-{count:04d}"
        samples = decode_g722(clip.recording)
        soundfile.write(chapter / f"{utterance}.flac", samples, SAMPLE_RATE)
        name = f"{SPEAKER}-{CHAPTERS[split]}.trans.txt"
        with open(chapter / name, "a", encoding="utf-8") as file:
            file.write(f"{utterance} {clip.words}\n")
        sources.append(f"{utterance}\t{split}\t{clip.name}\t{clip.seconds:.2f}")
    (folder / "SOURCE.tsv").write_text("\n".join(sources) + "\n")
    return totals


def make_demo_corpus(data_folder):
    """Fetches, decodes and splits the demo corpus, unless it is there.

    Arguments
    ---------
    data_folder : str or Path
        Where the corpus goes. The packages are kept beside it, in
        ``<data_folder>_packages``.

    Returns
    -------
    Path
        ``data_folder``.

    Raises
    ------
    DataError
        Where the folder holds something else, or the recordings can not be
        fetched or decoded.
    """
    data_folder = Path(data_folder).resolve()
    if (data_folder / "SOURCE.tsv").is_file():
        return data_folder
    if data_folder.exists() and any(data_folder.iterdir()):
        raise DataError(
            f"{data_folder} holds something that is not the demo corpus. Name "
            "a folder that is new or empty."
        )
    name = data_folder.name
    packages = fetch_packages(data_folder.with_name(f"{name}_packages"))
    work = data_folder.with_name(f"{name}.partial")
    shutil.rmtree(work, ignore_errors=True)  # of a run that was killed
    for package in packages:
        unpack_package(package, work)
    clips, skipped = _read_clips(work)
    corpus = work / "corpus"
    totals = _write_corpus(clips, corpus)
    credit = CREDIT_TEXT.format(
        credit=CREDIT,
        packages=" and ".join(package.stem for package in packages),
        copyright=(work / DOCUMENTS / "copyright").read_text("utf-8"),
    )
    (corpus / "CREDIT.txt").write_text(credit, "utf-8")
    # One rename at the end: whoever finds the folder finds it whole.
    corpus.replace(data_folder)
    shutil.rmtree(work)
    _report(data_folder, totals, skipped)
    return data_folder


def _report(data_folder, totals, skipped):
    print(f"Demo corpus in {data_folder}")
    for split, (count, minutes) in totals.items():
        print(f"  {split:<12}{count:4d} clips {minutes:6.1f} minutes")
    for reason, count in skipped.most_common():
        print(f"  skipped     {count:4d} clips: {reason}")
    print(f"  {CREDIT}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python recipes/LibriSpeech/demo_corpus.py DATA_FOLDER")
    try:
        make_demo_corpus(sys.argv[1])
    except UserError as error:
        sys.exit(str(error))
