"""Language models of subwords in joint search.

Authors
 * The d2v_sb developers 2026
"""

import math
import shutil
from functools import partial

import pytest
import speechbrain as sb
import torch
from speechbrain.inference.ASR import EncoderDecoderASR

from d2v_sb.errors import CheckpointError, UserError
from d2v_sb.lm_folders import LanguageModelFile
from d2v_sb.search import joint_searcher
from d2v_sb.subword_lm import export_with_subword_lm, load_subword_lm
from tests.arpa import write_arpa
from tests.unit.test_joint import (
    LM,
    NUM_LABELS,
    SEARCH,
    batch_of,
    joint_brain,
    joint_model,
    noise,
    subwords,
)

__all__ = ["subwords"]  # a fixture
TEMPERATURE = 1.3


def transformer(path, seed=0):
    """Weights of a random language model."""
    torch.manual_seed(seed)
    model = LM()
    with torch.no_grad():
        for parameter in model.output_proj.parameters():
            parameter.mul_(3)
    torch.save(model.state_dict(), path)
    return path


def ngram(path, subwords):
    """An n-gram model of the subwords, with a taste."""
    pytest.importorskip("kenlm", reason="no extra `lm`: no compiler")
    pieces = subwords.labels[3:]
    pairs = [f"{a} {b}" for a, b in zip(pieces, pieces[1:], strict=False)]
    return write_arpa(path, pieces, pairs)


@pytest.fixture(params=["transformer", "ngram"])
def lm_path(request, tmp_path, subwords):
    if request.param == "transformer":
        return transformer(tmp_path / "lm.ckpt")
    return ngram(tmp_path / "lm.arpa", subwords)


def heard(brain, batch):
    with torch.no_grad():
        outputs = brain.compute_forward(batch, sb.Stage.TEST)
        return brain.decode(outputs, batch, sb.Stage.TEST)


def by_decoder(brain, batch):
    """What each decoder of the tests hears, by the ending of its results."""
    return {suffix: heard(brain, batch) for suffix in brain.decoders()}


def test_tests_search_without_and_with_it_and_the_folders_too(
    subwords, lm_path, tmp_path
):
    brain = joint_brain(
        subwords, tmp_path / "inference", lm_path=str(lm_path), lm_weight=0.9
    )
    batch = batch_of(subwords)
    expected = by_decoder(brain, batch)
    assert expected[""] != expected["_lm"]
    brain.export()
    lm_path.unlink()
    for suffix, texts in expected.items():
        moved = tmp_path / f"moved{suffix}"
        shutil.move(tmp_path / f"inference{suffix}", moved)
        asr = EncoderDecoderASR.from_hparams(source=str(moved))
        assert asr.transcribe_batch(*batch.sig)[0] == texts


def test_a_folder_of_an_earlier_model_is_pointed_out(
    subwords, tmp_path, caplog
):
    brain = joint_brain(subwords, tmp_path / "inference")
    brain.export()
    assert "written before" not in caplog.text
    (tmp_path / "inference_lm").mkdir()
    brain.export()
    assert "inference_lm was written before" in caplog.text


def test_a_weight_of_zero_changes_nothing(subwords, lm_path):
    batch = batch_of(subwords)
    brain = joint_brain(subwords, lm_path=str(lm_path), lm_weight=0.0)
    texts = by_decoder(brain, batch)
    assert texts[""] == texts["_lm"]


def of_transformer(lm, told, subwords):
    """Its log-probabilities of the next label, after each (U, V)."""
    return (lm(told) / TEMPERATURE).log_softmax(-1)[0]


def of_ngram(lm, told, subwords):
    """The same of KenLM's, told the begin and the labels."""
    import kenlm

    model, state = kenlm.Model(lm.path), kenlm.State()
    model.BeginSentenceWrite(state)
    rows = []
    for label in [*told[0, 1:].tolist(), None]:
        scores, states = [], []
        for piece in subwords.labels:
            states.append(kenlm.State())
            scores.append(model.BaseScore(state, piece, states[-1]))
        rows.append(torch.tensor(scores) * math.log(10))
        state = states[label] if label is not None else None
    return torch.stack(rows)


@pytest.mark.parametrize("kind", ["transformer", "ngram"])
def test_the_score_of_a_hypothesis_is_decoder_and_language_model(
    tmp_path, subwords, kind
):
    """Counted again, label by label, for the best of each utterance."""
    if kind == "transformer":
        path, again = transformer(tmp_path / "lm.ckpt"), of_transformer
    else:
        path, again = ngram(tmp_path / "lm.arpa", subwords), of_ngram
    model = joint_model()
    lm = load_subword_lm(str(path), LM, subwords.labels)
    options = {
        **SEARCH,
        "ctc_weight_decode": 0.0,
        "temperature": TEMPERATURE,
        "length_normalization": False,
        "max_decode_ratio": 0.1,
    }
    search = joint_searcher(
        model, **options, language_model=lm, lm_weight=0.7, tokenizer=subwords
    )
    wavs, wav_lens = noise(16000, 12000)
    with torch.no_grad():
        states = model.encoder(wavs, wav_lens)
        labels, _, scores, _ = search(states)
        frames = states.abs().amax(dim=-1).gt(0).sum(dim=1)
        for i, found in enumerate(labels):
            told = torch.tensor([[1, *found]])
            x, _ = model.decoder.decode(
                told, states[i : i + 1], frames[i : i + 1]
            )
            logits = model.seq_head(x)[0] / TEMPERATURE
            total = logits.log_softmax(-1) + 0.7 * again(lm, told, subwords)
            score = sum(total[u, label].item() for u, label in enumerate(found))
            # SpeechBrain counts the last label, an end or not, and drops it.
            last = scores[i] - score
            assert (total[len(found)] - last).abs().min() < 1e-3


# Bad input


def test_weights_of_other_sizes_are_named(tmp_path):
    path = tmp_path / "lm.ckpt"
    torch.save({"a": torch.zeros(1)}, path)
    with pytest.raises(CheckpointError, match="lm.ckpt is not the language"):
        load_subword_lm(str(path), LM, [])
    path.write_bytes(b"no weights")
    with pytest.raises(CheckpointError, match="lm.ckpt is not the language"):
        load_subword_lm(str(path), LM, [])
    with pytest.raises(CheckpointError, match="no such language model"):
        load_subword_lm(str(tmp_path / "absent.ckpt"), LM, [])


def test_an_absent_file_is_said_before_the_training(subwords, tmp_path):
    for name in ("absent.arpa", "absent.ckpt"):
        with pytest.raises(UserError, match="no such language model"):
            joint_brain(subwords, lm_path=str(tmp_path / name))


def test_an_ngram_model_is_read_when_the_search_begins(tmp_path, subwords):
    """An inference folder is built before its files are found."""
    file = LanguageModelFile()
    search = joint_searcher(
        joint_model(), **SEARCH, language_model=file, tokenizer=subwords
    )
    file.found(ngram(tmp_path / "lm.arpa", subwords))
    with torch.no_grad():
        labels, *_ = search(joint_model().encoder(noise(16000)[0]))
    assert labels[0]


@pytest.mark.parametrize("words", [["ONE", "TWO", "THREE"], ["one", "two"]])
def test_an_ngram_model_of_words_is_refused(tmp_path, subwords, words):
    pytest.importorskip("kenlm", reason="no extra `lm`: no compiler")
    path = write_arpa(tmp_path / "words.arpa", words)
    with pytest.raises(UserError, match=r"words\.arpa knows \d of the 16 subw"):
        load_subword_lm(str(path), LM, subwords.labels)


def test_a_torn_ngram_model_is_said_before_the_training(tmp_path, subwords):
    path = ngram(tmp_path / "lm.arpa", subwords)
    path.write_text(path.read_text()[:-40])
    with pytest.raises(UserError, match=r"lm\.arpa can not be read as a lang"):
        joint_brain(subwords, lm_path=str(path))


def test_sizes_without_names_are_refused(subwords, tmp_path):
    path = transformer(tmp_path / "lm.ckpt")
    make = partial(LM.func, NUM_LABELS, **{**LM.keywords, "vocab": NUM_LABELS})
    with pytest.raises(UserError, match="lm_model: give its sizes by name"):
        export_with_subword_lm(tmp_path, tmp_path / "a", path, 0.5, make)
