"""The small encoder's corpus: what is decoded, linked and credited.

Authors
 * The d2v_sb developers 2026
"""

import importlib
import os
from pathlib import Path

import pytest
import soundfile

from d2v_sb.errors import DataError

RECIPE = Path(__file__).resolve().parents[2] / "recipes/LibriSpeech"
ONE_SECOND = 8000  # bytes of G.722


@pytest.fixture(scope="module")
def small():
    """The recipe's script as a module; recipes are no package."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(RECIPE))
        yield importlib.import_module("small_corpus")


@pytest.fixture
def archive(small, tmp_path, monkeypatch):
    """Packages of two clips, one of them too short, and a demo's corpus."""
    asked = []

    def fetch(cache, names):
        asked.append(list(names))
        return [cache / f"{name}.deb" for name in names]

    def unpack(package, root):
        language = package.stem.split("-")[3]
        voice = root / small.SOUNDS / f"{language}_XX_voice"
        (voice / "digits").mkdir(parents=True)
        (voice / "hello.g722").write_bytes(os.urandom(ONE_SECOND))
        (voice / "digits/1.g722").write_bytes(os.urandom(ONE_SECOND - 1))
        licence = root / str(small.COPYRIGHT).format(language)
        licence.parent.mkdir(parents=True)
        licence.write_text(f"licence of {language}")

    def make_demo(folder):
        (folder / "train-clean").mkdir(parents=True, exist_ok=True)
        (folder / "CREDIT.txt").write_text("licence of en")
        return folder

    monkeypatch.setattr(small, "fetch_packages", fetch)
    monkeypatch.setattr(small, "unpack_package", unpack)
    monkeypatch.setattr(small, "make_demo_corpus", make_demo)
    return tmp_path / "data/small", asked


def test_each_language_is_decoded_linked_and_credited(small, archive):
    folder, asked = archive
    small.make_small_corpus(folder)
    assert asked == [[small.PACKAGE.format(x) for x in small.LANGUAGES]]
    for language in small.LANGUAGES:
        (clip,) = (folder / f"asterisk-{language}").iterdir()
        assert clip.name == "hello.flac"
        assert soundfile.info(clip).samplerate == 16000
        assert soundfile.info(clip).frames == 2 * ONE_SECOND
    # Held-out clips of the demo must not be trained on.
    link = folder / "asterisk-en"
    assert link.resolve() == (folder.parent / "demo/train-clean").resolve()
    credit = (folder / "CREDIT.txt").read_text()
    for language in ("en", *small.LANGUAGES):
        assert f"licence of {language}" in credit
    assert not list(folder.glob(".*"))


def test_what_is_there_is_not_decoded_again(small, archive, monkeypatch):
    folder, _ = archive
    small.make_small_corpus(folder)
    monkeypatch.setattr(small, "decode_g722", None)
    small.make_small_corpus(folder)


def test_a_failure_leaves_no_half_language(small, archive, monkeypatch):
    folder, _ = archive

    def fail(path):
        raise DataError(f"{path} is damaged")

    with monkeypatch.context() as patch:
        patch.setattr(small, "decode_g722", fail)
        with pytest.raises(DataError, match="hello.g722 is damaged"):
            small.make_small_corpus(folder)
    assert not (folder / "asterisk-es").exists()
    small.make_small_corpus(folder)
    assert (folder / "asterisk-es/hello.flac").is_file()
