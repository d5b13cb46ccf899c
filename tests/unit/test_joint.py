"""CTC and attention together: exact lengths, losses, search, export.

Authors
 * The d2v_sb developers 2026
"""

import math
import types
from functools import partial

import pytest
import speechbrain as sb
import torch
from speechbrain.dataio.batch import PaddedBatch
from speechbrain.inference.ASR import EncoderDecoderASR
from speechbrain.lobes.models.transformer.TransformerLM import TransformerLM
from speechbrain.nnet.linear import Linear
from speechbrain.utils.epoch_loop import EpochCounter

from d2v_sb.errors import UserError
from d2v_sb.finetuning import AttentionBrain
from d2v_sb.lobes import (
    AttentionDecoder,
    Data2VecAudio,
    JointModel,
    SpeechEncoder,
)
from d2v_sb.search import joint_searcher
from d2v_sb.tokens import Subwords

LENGTHS = [16000, 9000, 13579, 5000]
TEXTS = ["ONE TWO", "THREE", "TWO THREE ONE", "TWO"]
NUM_LABELS = 16
SEARCH = {
    "bos_index": 1,
    "eos_index": 2,
    "blank_index": 0,
    "beam_size": 3,
    "ctc_weight_decode": 0.4,
    "temperature": 1.15,
    "max_decode_ratio": 0.3,
    "length_normalization": True,
}

LM = partial(
    TransformerLM,
    vocab=NUM_LABELS,
    d_model=16,
    nhead=2,
    num_encoder_layers=1,
    d_ffn=32,
    dropout=0.0,
    activation=torch.nn.GELU,
)


def joint_model(seed=0):
    """A small random model whose outputs differ."""
    torch.manual_seed(seed)
    encoder = Data2VecAudio("tiny", encoder_layers=1, dropout=0.0)
    model = JointModel(
        SpeechEncoder(encoder, 32),
        Linear(input_size=32, n_neurons=NUM_LABELS),
        AttentionDecoder(
            NUM_LABELS, 32, num_layers=2, num_heads=2, ffn_width=64
        ),
        Linear(input_size=32, n_neurons=NUM_LABELS),
    )
    with torch.no_grad():
        for head in (model.ctc_head, model.seq_head):
            head.w.weight.mul_(4)
    return model.eval()


@pytest.fixture(scope="module")
def subwords(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokens")
    rows = [f"{i},{text}" for i, text in enumerate(TEXTS * 9)]
    (folder / "train.csv").write_text("\n".join(["ID,wrd", *rows, ""]))
    return Subwords(
        folder / "train.csv",
        folder,
        NUM_LABELS,
        "bpe",
        bos_index=1,
        eos_index=2,
    )


def noise(*lengths):
    """A padded batch and its relative lengths."""
    generator = torch.Generator().manual_seed(1)
    rows = [torch.randn(n, generator=generator) for n in lengths]
    wavs = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
    return wavs, torch.tensor(lengths) / max(lengths)


def batch_of(subwords, rows=range(4)):
    """Utterances of noise with texts."""
    wavs, _ = noise(*LENGTHS)
    return PaddedBatch(
        [
            {
                "id": f"u{i}",
                "sig": wavs[i, : LENGTHS[i]],
                "wrd": TEXTS[i],
                "tokens": torch.tensor(subwords.encode(TEXTS[i])),
            }
            for i in rows
        ]
    )


def joint_brain(subwords, folder=None, **changes):
    """A brain around a random model."""
    model = joint_model()
    hparams = {
        "number_of_updates": 5,
        "batch_seconds": 4,
        "gpu_batch_seconds": 4,
        "validate_interval_updates": 2,
        "num_buckets": 2,
        "num_workers": 0,
        "seed": 1,
        "lr_schedule": lambda optimizer, update: None,
        "noprogressbar": True,
        "data2vec": model.encoder.encoder,
        "model": model,
        "tokenizer": subwords,
        "head_lr_scale": 1.0,
        "ctc_weight": 0.3,
        "label_smoothing": 0.1,
        "bos_index": 1,
        "eos_index": 2,
        "blank_index": 0,
        "joint_search": SEARCH,
        "lm_path": None,
        "lm_weight": 0.6,
        "lm_model": LM,
        "inference_folder": str(folder),
        "output_folder": str(folder),
        "epoch_counter": EpochCounter(100),
        "train_logger": types.SimpleNamespace(log_stats=lambda *a, **k: None),
        **changes,
    }
    brain = AttentionBrain({"model": model}, torch.optim.Adam, hparams)
    brain.on_fit_start()
    brain.modules.eval()
    return brain


def losses(brain, batch):
    """The loss of a batch as the brain counts it."""
    with torch.no_grad():
        outputs = brain.compute_forward(batch, sb.Stage.TRAIN)
        return brain.compute_objectives(outputs, batch, sb.Stage.TRAIN).item()


def test_an_utterance_in_a_batch_equals_itself_alone(subwords):
    model, batch = joint_model(), batch_of(subwords)
    wavs, wav_lens = batch.sig
    tokens = torch.nn.functional.pad(batch.tokens.data, (1, 0), value=1)
    with torch.no_grad():
        ctc, seq = model(wavs, wav_lens, tokens)
        for i, length in enumerate(LENGTHS):
            U = 1 + len(subwords.encode(TEXTS[i]))
            one = model(wavs[i : i + 1, :length], None, tokens[i : i + 1, :U])
            T = one[0].shape[1]
            torch.testing.assert_close(
                ctc[i : i + 1, :T], one[0], atol=2e-5, rtol=0
            )
            torch.testing.assert_close(
                seq[i : i + 1, :U], one[1], atol=2e-5, rtol=0
            )


def test_a_step_of_the_search_is_the_decoder_told_the_same_labels():
    model = joint_model()
    wavs, wav_lens = noise(*LENGTHS)
    tokens = torch.tensor([[1, 5, 6, 7]] * 4)
    with torch.no_grad():
        states = model.encoder(wavs, wav_lens)
        padding = model.encoder.encoder.padding_mask(wavs, wav_lens)
        told = model.decoder(tokens, states, padding)
        frames = (~padding).sum(1)
        for u in range(1, 5):
            step, attention = model.decoder.decode(
                tokens[:, :u], states, frames
            )
            torch.testing.assert_close(
                step[:, -1], told[:, u - 1], atol=1e-5, rtol=0
            )
            assert attention.shape[-1] == states.shape[1]
            assert attention[3, :, frames[3] :].abs().max() == 0


def test_the_loss_is_that_of_torchs_own_parts(subwords):
    """By hand, utterance by utterance, with the smoothing written out."""
    brain, batch = joint_brain(subwords), batch_of(subwords)
    expected = []
    for i, length in enumerate(LENGTHS):
        labels = subwords.encode(TEXTS[i])
        wav = batch.sig.data[i : i + 1, :length]
        bos = torch.tensor([[1, *labels]])
        with torch.no_grad():
            ctc, seq = brain.hparams.model(wav, None, bos)
        loss_ctc = torch.nn.functional.ctc_loss(
            ctc.transpose(0, 1),
            torch.tensor([labels]),
            [ctc.shape[1]],
            [len(labels)],
            reduction="sum",
        ).item()
        loss_seq = 0.0
        for log_probs, label in zip(seq[0], [*labels, 2], strict=True):
            loss_seq -= 0.9 * log_probs[label].item()
            loss_seq -= 0.1 * log_probs.mean().item()
        expected.append(0.3 * loss_ctc + 0.7 * loss_seq)
    assert losses(brain, batch) == pytest.approx(sum(expected) / 4, rel=1e-5)


@pytest.mark.parametrize("smoothing", (0.0, 0.1))
def test_padded_labels_cost_nothing(subwords, smoothing):
    brain = joint_brain(subwords, label_smoothing=smoothing)
    alone = [losses(brain, batch_of(subwords, [i])) for i in range(4)]
    whole = losses(brain, batch_of(subwords))
    assert whole == pytest.approx(sum(alone) / 4, rel=1e-5)
    assert math.isfinite(whole)


def a_frame_off(longest):
    """A length whose frames SpeechBrain's rounding gets wrong."""
    count = Data2VecAudio("tiny").num_frames
    return next(
        n
        for n in range(5000, longest, 7)
        if round(n / longest * count(longest)) < count(n)
    )


def test_searching_a_padded_batch_finds_what_each_alone_finds(subwords):
    model = joint_model()
    exact = joint_searcher(model, **SEARCH)
    wavs, wav_lens = noise(16000, a_frame_off(16000), 13579)
    count = model.encoder.encoder.num_frames
    with torch.no_grad():
        states = model.encoder(wavs, wav_lens)
        found, *_ = exact(states, wav_lens)
        alone = []
        for i, share in enumerate(wav_lens):
            length = round(16000 * share.item())
            one = model.encoder(wavs[i : i + 1, :length])
            assert one.shape[1] == count(length)
            # The limit of the batch: nothing that is random finds an end.
            ratio = SEARCH["max_decode_ratio"] * count(16000) / count(length)
            exact.searcher.max_decode_ratio = ratio
            alone += exact(one)[0]
        lengths = []
        exact.searcher.register_forward_pre_hook(
            lambda _, inputs: lengths.append(inputs[1] * inputs[0].shape[1])
        )
        exact(states)
    assert found == alone and len(set(map(tuple, found))) == 3
    assert all(len(labels) > 2 for labels in found)
    assert lengths[0].round().tolist() == [
        count(16000),
        count(a_frame_off(16000)),
        count(13579),
    ]


def test_ctc_counts_in_the_search():
    model = joint_model()
    wavs, wav_lens = noise(16000, 12000)
    with torch.no_grad():
        states = model.encoder(wavs, wav_lens)
        found = {
            weight: joint_searcher(
                model, **{**SEARCH, "ctc_weight_decode": weight}
            )(states)[0]
            for weight in (0.0, 0.4)
        }
    assert found[0.0] != found[0.4]


def test_speechbrain_loads_the_folder_and_hears_the_same(subwords, tmp_path):
    brain = joint_brain(subwords, tmp_path / "inference")
    brain.export()
    files = sorted(path.name for path in (tmp_path / "inference").iterdir())
    assert files == ["hyperparams.yaml", "model.ckpt", "tokenizer.ckpt"]
    asr = EncoderDecoderASR.from_hparams(source=str(tmp_path / "inference"))
    batch = batch_of(subwords)
    with torch.no_grad():
        outputs = brain.compute_forward(batch, sb.Stage.TEST)
        expected = brain.decode(outputs, batch, sb.Stage.TEST)
    heard, _ = asr.transcribe_batch(*batch.sig)
    assert heard == expected and len(set(heard)) > 1


def test_what_is_not_the_encoder_may_learn_faster(subwords):
    def moved(scale):
        brain = joint_brain(subwords, head_lr_scale=scale)

        def schedule(optimizer, update):
            for group in optimizer.param_groups:
                group["lr"] = 1e-3
                # Of the run before, where the checkpoint has it.
                group.setdefault("lr_scale", 99.0)

        brain.hparams.lr_schedule = schedule
        brain.opt_class = torch.optim.SGD
        brain.init_optimizers()
        model = brain.hparams.model
        parts = {"encoder": model.encoder.encoder, "head": model.seq_head}
        before = {
            name: [p.detach().clone() for p in part.parameters()]
            for name, part in parts.items()
        }
        batch = batch_of(subwords)
        brain.on_stage_start(sb.Stage.TRAIN, 1)
        for step in (1, 2):  # the scale must not grow with the updates
            brain.step = step
            brain.on_fit_batch_start(batch, True)
            rates = {g["lr"] for g in brain.optimizer.param_groups}
            assert rates == {1e-3, 1e-3 * scale}
        brain.modules.eval()  # no dropout
        brain.fit_batch(batch)
        return {
            name: torch.cat(
                [
                    (p.detach() - q).flatten()
                    for p, q in zip(part.parameters(), before[name])
                ]
            )
            for name, part in parts.items()
        }

    plain, scaled = moved(1.0), moved(5.0)
    torch.testing.assert_close(scaled["encoder"], plain["encoder"])
    torch.testing.assert_close(
        scaled["head"], 5 * plain["head"], rtol=1e-3, atol=1e-6
    )
    assert plain["head"].abs().max() > 0 < plain["encoder"].abs().max()


def test_a_wrong_option_of_the_search_is_said_before_the_training(subwords):
    with pytest.raises(UserError, match="joint_search.*beamsize"):
        joint_brain(subwords, joint_search={**SEARCH, "beamsize": 3})


def test_validation_hears_an_utterance_in_a_batch_as_alone(subwords):
    brain = joint_brain(subwords)

    def heard(batch):
        with torch.no_grad():
            outputs = brain.compute_forward(batch, sb.Stage.VALID)
            return brain.decode(outputs, batch, sb.Stage.VALID)

    alone = [heard(batch_of(subwords, [i]))[0] for i in range(4)]
    assert heard(batch_of(subwords)) == alone and len(set(alone)) == 4
