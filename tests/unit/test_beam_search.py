"""Beam search with a language model: chosen values, folders, padding.

Authors
 * The d2v_sb developers 2026
"""

import shutil

import pytest
import torch
from speechbrain.decoders.ctc import CTCBeamSearcher
from speechbrain.inference.ASR import EncoderASR
from speechbrain.nnet.linear import Linear

from d2v_sb.beam_search import (
    CHOSEN,
    LMBeamSearcher,
    chosen_options,
    export_with_lm,
    write_chosen,
)
from d2v_sb.errors import CheckpointError, DataError, UserError
from d2v_sb.inference import export_ctc
from d2v_sb.lm_folders import LanguageModelFile
from d2v_sb.lobes import CTCModel, Data2VecAudio
from d2v_sb.tokens import Letters
from tests.arpa import write_arpa

LETTERS = Letters(" AB")
OPTIONS = {"alpha": 1.5, "beta": 1.0, "beam_size": 20}
GIVEN = {"alpha": 0.8, "beta": 1.2, "beam_size": 100, "beam_prune_logp": -12.0}
needs_kenlm = pytest.mark.usefixtures("kenlm")


@pytest.fixture
def kenlm():
    """What the extra `lm` brings."""
    return pytest.importorskip("kenlm", reason="no extra `lm`: no compiler")


@pytest.fixture
def lm(tmp_path):
    """A model that likes BAB after AB, and knows nothing else."""
    return write_arpa(tmp_path / "lm.arpa", ["AB", "BAB"], ["AB BAB"])


# Chosen values


def test_chosen_values_are_for_their_language_model_only(tmp_path, lm):
    assert chosen_options(tmp_path, lm, GIVEN) == GIVEN
    write_chosen(tmp_path, lm, OPTIONS, "9 % WER")
    expected = {**OPTIONS, "beam_prune_logp": -12.0}
    assert chosen_options(tmp_path, lm, GIVEN) == expected
    other = write_arpa(tmp_path / "other.arpa", ["AB", "BAB"])
    assert chosen_options(tmp_path, other, GIVEN) == GIVEN
    write_arpa(lm, ["AB", "BAB", "A"])  # another one of that name
    assert chosen_options(tmp_path, lm, GIVEN) == GIVEN


def test_chosen_values_say_why_and_how_to_be_rid_of_them(tmp_path, lm):
    text = write_chosen(tmp_path, lm, OPTIONS, "9 % WER").read_text()
    assert "# 9 % WER" in text and "Remove the file" in text


@pytest.mark.parametrize("text", ["", "a", "beam_search: 1", "{", "- a"])
def test_a_damaged_file_of_chosen_values_is_named(tmp_path, lm, text):
    (tmp_path / CHOSEN).write_text(text)
    with pytest.raises(DataError, match=f"{CHOSEN} holds no values"):
        chosen_options(tmp_path, lm, GIVEN)


# Search


def log_probs(frames):
    """Log-probabilities that lean towards labels without being sure."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.rand(len(frames), len(LETTERS), generator=generator)
    logits[range(len(frames)), frames] += 2.0
    return logits.log_softmax(dim=-1)[None]


def text_of(searcher, batch, wav_lens=None):
    return [hypotheses[0].text for hypotheses in searcher(batch, wav_lens)]


@needs_kenlm
def test_the_last_frame_is_heard_whatever_the_relative_lengths(lm):
    """7 of 10 frames as a float are 6.9999…, which SpeechBrain rounds down."""
    batch = torch.full((2, 10, len(LETTERS)), -1e4)
    batch[:, :, 0] = 0
    batch[1, :7] = log_probs([2, 3, 0, 1, 3, 2, 3])
    batch = batch.log_softmax(dim=-1)
    lens = torch.tensor([1.0, 0.7 - 1e-7])
    theirs = CTCBeamSearcher(
        0, LETTERS.labels, kenlm_model_path=str(lm), **OPTIONS
    )
    file = LanguageModelFile(str(lm))
    ours = LMBeamSearcher(LETTERS.labels, 0, file, **OPTIONS)
    alone = text_of(ours, batch[1:, :7])
    assert alone == ["AB BAB"] == text_of(ours, batch, lens)[1:]
    assert text_of(theirs, batch, lens)[1:] != alone
    assert text_of(theirs, batch[1:, :7]) == alone


@needs_kenlm
def test_an_arpa_file_is_one_under_any_name(lm, tmp_path):
    """SpeechBrain goes by the ending, and then knows no words."""
    renamed = shutil.copyfile(lm, tmp_path / "language_model.ckpt")
    batch = log_probs([2, 3, 0, 1, 3, 2, 3, 0, 1, 2, 2, 3, 1, 3])
    found = [
        text_of(LMBeamSearcher(LETTERS.labels, 0, file, **OPTIONS), batch)
        for file in map(LanguageModelFile, (str(lm), str(renamed)))
    ]
    assert found[0] == found[1]


@needs_kenlm
@pytest.mark.parametrize("text", ["", "no model", "\\data\\\nngram 1=9\n"])
def test_a_file_that_is_no_language_model_is_named(tmp_path, text):
    (tmp_path / "lm.arpa").write_text(text)
    file = LanguageModelFile(str(tmp_path / "lm.arpa"))
    with pytest.raises(UserError, match="lm.arpa can not be read as a lang"):
        LMBeamSearcher(LETTERS.labels, 0, file)


@needs_kenlm
def test_an_option_that_is_none_is_said(lm):
    with pytest.raises(UserError, match="beam_search.*bean_size"):
        LMBeamSearcher(
            LETTERS.labels, 0, LanguageModelFile(str(lm)), bean_size=3
        )


# Folders


@pytest.fixture
def inference(tmp_path):
    """The folder of a random model."""
    torch.manual_seed(0)
    head = Linear(input_size=128, n_neurons=len(LETTERS))
    encoder = Data2VecAudio("tiny", encoder_layers=1)
    with torch.no_grad():
        head.w.weight.mul_(4)
    export_ctc(tmp_path / "inference", CTCModel(encoder, head), LETTERS)
    return tmp_path / "inference"


@needs_kenlm
def test_the_folder_alone_searches_with_the_language_model(
    inference, lm, tmp_path
):
    export_with_lm(inference, tmp_path / "lm", lm, OPTIONS)
    searcher = LMBeamSearcher(
        LETTERS.labels, 0, LanguageModelFile(str(lm)), **OPTIONS
    )
    greedy = EncoderASR.from_hparams(source=str(inference))
    wavs = torch.randn(3, 8000)
    lens = torch.tensor([1.0, 0.81, 0.5])
    expected = text_of(searcher, greedy.encode_batch(wavs, lens))
    shutil.move(tmp_path / "lm", tmp_path / "moved")
    lm.unlink()
    asr = EncoderASR.from_hparams(source=str(tmp_path / "moved"))
    assert asr.transcribe_batch(wavs, lens)[0] == expected
    assert expected != greedy.transcribe_batch(wavs, lens)[0]


def test_a_folder_of_something_else_is_refused(inference, lm, tmp_path):
    export_with_lm(inference, tmp_path / "lm", lm, OPTIONS)
    for folder in (tmp_path / "lm", tmp_path / "absent", tmp_path):
        with pytest.raises(
            CheckpointError, match="no inference folder of this"
        ):
            export_with_lm(folder, tmp_path / "b", lm, OPTIONS)
        assert not (tmp_path / "b").exists()
