"""Embeddings: the same alone and in any batch, finite, as SpeechBrain's.

Authors
 * The d2v_sb developers 2026
"""

import pytest
import soundfile
import torch
from speechbrain.lobes.models.Xvector import Xvector
from speechbrain.nnet import pooling as sb_pooling
from torch.nn.utils.rnn import pad_sequence

from d2v_sb.errors import UserError
from d2v_sb.lobes import (
    FilterBank,
    UtteranceClassifier,
    UtteranceEncoder,
    WeightedData2Vec,
    make_head,
)
from d2v_sb.lobes.pooling import HEADS, StatisticsPooling

FRONT_ENDS = {
    "data2vec": lambda: WeightedData2Vec("tiny", layernorm=True),
    "fbank": FilterBank,
}


def encoder_of(front_end, head):
    """A small utterance encoder with statistics as after some training."""
    torch.manual_seed(0)
    front_end = FRONT_ENDS[front_end]()
    width = front_end.output_size
    sizes = {"channels": 16, "attention_channels": 8}
    model = UtteranceEncoder(front_end, make_head(head, width, 12, **sizes))
    model.train()
    with torch.no_grad():
        for _ in range(3):
            model(torch.randn(4, 16000))
    return model.eval()


def batch(wavs):
    """Padded waveforms and relative lengths."""
    lengths = torch.tensor([len(wav) for wav in wavs])
    return pad_sequence(wavs, batch_first=True), lengths / lengths.max()


@pytest.fixture(scope="module")
def speech(corpora):
    """Clips of several lengths, two of them of one length."""
    folder = corpora / "voxceleb_mini" / "wav"
    paths = sorted(folder.rglob("00001.wav"))[:6]
    wavs = [
        torch.from_numpy(soundfile.read(p, dtype="float32")[0]) for p in paths
    ]
    return [wav[: 24000 + 3333 * i] for i, wav in enumerate(wavs)] + [
        wavs[0][:24000],
        wavs[1][:400],
    ]


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("front_end", FRONT_ENDS)
def test_an_embedding_is_the_same_alone_and_in_any_batch(
    front_end, head, speech
):
    model = encoder_of(front_end, head)
    with torch.no_grad():
        alone = torch.cat([model(wav[None]) for wav in speech])
        for rows in (range(len(speech)), [7, 2], [0, 6, 5], [4, 3, 1, 7]):
            some = model(*batch([speech[i] for i in rows]))
            assert (some - alone[list(rows)]).abs().max() < 1e-5
        longer, lens = batch([speech[2], torch.zeros(160000)])
        assert (model(longer, lens)[0] - alone[2]).abs().max() < 1e-5


@pytest.mark.parametrize("head", ["ecapa", "xvector"])
def test_speechbrains_masks_alone_let_padding_in(head, speech):
    """The plausible mistake: lengths given to the head, and that is all."""
    model = encoder_of("data2vec", head)
    wavs, lens = batch(speech[:6])
    with torch.no_grad():
        states = model.front_end(wavs, lens)
        padding = model.front_end.padding_mask(wavs, lens)
        lengths = ((~padding).sum(1) - 0.25) / states.shape[1]
        masked = model.head(states, lengths)
        alone = model(speech[0][None])
    assert (masked[0] - alone[0]).abs().max() > 1e-4


def test_in_training_padding_is_masked_to_the_frame(speech):
    """With a head of masks alone, training mode gives the same."""
    model = encoder_of("data2vec", "statistics")
    wavs, lens = batch(speech[:6])
    with torch.no_grad():
        expected = model(wavs, lens)
        model.training = True
        assert (model(wavs, lens) - expected).abs().max() < 1e-5


def test_statistics_are_speechbrains_less_its_noise():
    x, lengths = torch.randn(3, 40, 5), torch.tensor([1.0, 0.5, 0.25])
    ours = StatisticsPooling()(x, lengths)
    theirs = sb_pooling.StatisticsPooling()
    assert (theirs(x, lengths) - ours).abs().max() < 1.5e-4
    assert not torch.equal(theirs(x, lengths), theirs(x, lengths))
    assert torch.equal(StatisticsPooling()(x, lengths), ours)


def test_the_xvector_is_speechbrains_less_its_noise():
    torch.manual_seed(0)
    ours = make_head("xvector", 16, 12, channels=16).eval()
    theirs = Xvector(
        in_channels=16, tdnn_channels=[16] * 4 + [48], lin_neurons=12
    ).eval()
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(2, 30, 16)
    assert (ours(x) - theirs(x)).abs().max() < 1e-3


def test_equal_frames_have_a_finite_gradient():
    """SpeechBrain's is NaN: one silent clip would spoil an update."""
    x = torch.ones(1, 9, 4, requires_grad=True)
    StatisticsPooling()(x).sum().backward()
    assert x.grad.isfinite().all()


@pytest.mark.parametrize("head", HEADS)
def test_silence_and_the_shortest_clip_have_finite_embeddings(head):
    model = encoder_of("data2vec", head)
    wavs, lens = batch([torch.zeros(16000), torch.rand(400)])
    assert model(wavs, lens).isfinite().all()
    model.train()
    loss = model(wavs, lens).sum()
    loss.backward()
    for parameter in model.head.parameters():
        assert parameter.grad is None or parameter.grad.isfinite().all()


def test_a_clip_without_a_frame_is_named():
    model = encoder_of("data2vec", "mean")
    with pytest.raises(ValueError, match="waveform 1 of the batch has 399"):
        model(torch.rand(2, 800), torch.tensor([1.0, 399 / 800]))


def test_an_unknown_head_is_answered_with_the_known_ones():
    with pytest.raises(UserError, match="mean, statistics, attentive"):
        make_head("lstm", 8)


def test_outputs_are_float32_under_autocast():
    model = UtteranceClassifier(
        encoder_of("data2vec", "mean"), torch.nn.Linear(12, 3)
    )
    with torch.autocast("cpu", torch.bfloat16):
        assert model(torch.rand(1, 16000)).dtype == torch.float32


def test_filter_banks_are_those_of_each_clip_alone(speech):
    bank = FilterBank()
    wavs, lens = batch(speech[:4])
    together = bank(wavs, lens)
    for row, wav in enumerate(speech[:4]):
        alone = bank(wav[None])[0]
        assert (together[row, : len(alone)] - alone).abs().max() < 1e-3
        assert together[row, len(alone) :].abs().sum() == 0
