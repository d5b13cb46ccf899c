"""Speech recognition with CTC and attention, searched together.

Reference: https://arxiv.org/abs/1609.06773

Authors
 * The d2v_sb developers 2026
"""

from functools import cached_property

import speechbrain as sb
import torch
import torch.nn.functional as F
from speechbrain.dataio.dataio import append_eos_token, prepend_bos_token
from speechbrain.nnet.losses import ctc_loss

from d2v_sb.errors import UserError
from d2v_sb.finetuning.asr import ASRBrain
from d2v_sb.inference import ctc_greedy_decode, export_joint
from d2v_sb.lobes.heads import blank_padding
from d2v_sb.search import joint_searcher
from d2v_sb.subword_lm import export_with_subword_lm, load_subword_lm

PAD = 0  # what PaddedBatch pads labels with


class AttentionBrain(ASRBrain):
    """Trains a ``JointModel`` and measures its WER and CER.

    Besides ``ASRBrain``'s it takes from the hparams `model`, `ctc_weight`,
    `label_smoothing`, `bos_index`, `eos_index`, `blank_index`,
    `inference_folder`, `joint_search`, `lm_path`, `lm_weight` and `lm_model`.
    Validation decodes CTC greedily, which is fast and shows what the encoder
    learned; tests search jointly.
    """

    @cached_property
    def searcher(self):
        """Joint search with the model's heads."""
        return self._joint_searcher()

    @cached_property
    def lm_searcher(self):
        """The same with the language model."""
        hparams = self.hparams
        return self._joint_searcher(
            language_model=load_subword_lm(
                hparams.lm_path, hparams.lm_model, hparams.tokenizer.labels
            ),
            lm_weight=hparams.lm_weight,
            tokenizer=hparams.tokenizer,
        )

    def _joint_searcher(self, **of_lm):
        try:
            options = {**self.hparams.joint_search, **of_lm}
            return joint_searcher(self.hparams.model, **options)
        except TypeError as error:
            raise UserError(f"--joint_search: {error}") from error

    def on_fit_start(self):
        """Finds what is wrong with the search before the training."""
        self.searcher  # noqa: B018
        if self.hparams.lm_path:
            self.lm_searcher  # noqa: B018
        super().on_fit_start()

    def decoders(self):
        """Joint search, then with a language model where there is one."""
        yield ""
        if self.hparams.lm_path:
            self.searcher = self.lm_searcher
            yield "_lm"

    def compute_forward(self, batch, stage):
        """Waveforms to log-probabilities of CTC (B, T, V) and of the decoder
        (B, U + 1, V), which is told the true labels."""
        wavs, wav_lens = batch.sig
        tokens, _ = batch.tokens
        bos = prepend_bos_token(tokens, self.hparams.bos_index)
        return self.modules.model(
            wavs.to(self.device), wav_lens, bos.to(self.device)
        )

    def compute_objectives(self, outputs, batch, stage):
        """Both losses, weighted; outside training also errors.

        Each is a sum over an utterance's labels and a mean over utterances, as
        in SpeechBrain's recipes.
        """
        ctc, seq = outputs
        tokens, token_lens = batch.tokens
        num_tokens = (token_lens * tokens.shape[1]).round().long()
        eos = append_eos_token(tokens, num_tokens, self.hparams.eos_index)
        with torch.autocast(self.device_type, enabled=False):
            loss_ctc = ctc_loss(
                ctc.float(),
                tokens.to(self.device),
                (self.frames(batch) / ctc.shape[1]).to(self.device),
                token_lens.to(self.device),
                blank_index=self.hparams.blank_index,
                reduction="batchmean",
            )
            # SpeechBrain's kldiv_loss counts padding where nothing is smoothed.
            loss_seq = F.cross_entropy(
                seq.float().transpose(1, 2),
                eos.long().to(self.device),
                ignore_index=PAD,
                label_smoothing=self.hparams.label_smoothing,
                reduction="sum",
            ) / len(eos)
        self.measure(outputs, batch, stage)
        weight = self.hparams.ctc_weight
        return weight * loss_ctc + (1 - weight) * loss_seq

    def decode(self, outputs, batch, stage):
        """Texts of a batch: greedily by CTC, in tests by joint search."""
        if stage == sb.Stage.TEST:
            wavs, wav_lens = batch.sig
            states = self.hparams.model.encoder(wavs.to(self.device), wav_lens)
            labels, *_ = self.searcher(states)
        else:
            ctc, blank = outputs[0], self.hparams.blank_index
            frames = torch.arange(ctc.shape[1])[None]
            padding = frames >= self.frames(batch)[:, None]
            ctc = blank_padding(ctc, padding.to(ctc.device), blank)
            labels = ctc_greedy_decode(ctc, None, blank)
        return [self.hparams.tokenizer.decode(row) for row in labels]

    def export_folder(self, folder):
        """Writes the folder that ``EncoderDecoderASR`` loads."""
        hparams = self.hparams
        search = hparams.joint_search
        export_joint(folder, hparams.model, hparams.tokenizer, search)

    def export_lm_folder(self, folder, target):
        """Writes one that searches with the language model."""
        hparams = self.hparams
        lm = hparams.lm_path, hparams.lm_weight, hparams.lm_model
        export_with_subword_lm(folder, target, *lm)
