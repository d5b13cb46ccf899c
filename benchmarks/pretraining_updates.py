"""A pretraining update by our Brain, and the same by fairseq's Trainer.

Each takes the command line of ``benchmarks/pretraining.py`` and a dropout, of
residuals and attention; LayerDrop is off.

Authors
 * The d2v_sb developers 2026
"""

import dataclasses
import math
import tempfile
from pathlib import Path

import speechbrain as sb
import torch
import torch.nn.functional as F
from fairseq_trainer import make_trainer
from hyperpyyaml import load_hyperpyyaml

from d2v_sb.checkpoints.keys import FAIRSEQ, OURS, rename
from d2v_sb.hparams import plain_values
from d2v_sb.lobes.feature_extractor import num_frames
from d2v_sb.masking import sample_span_mask, seeded_generator
from d2v_sb.presets import PRESETS, SAMPLE_RATE
from d2v_sb.pretraining import PretrainingBrain
from d2v_sb.pretraining.audio import CropBatch

ROOT = Path(__file__).resolve().parents[1]
PERTURBATION = 0.1  # of norms and biases, which begin as ones and zeros


class GivenMask(PretrainingBrain):
    """Hides the frames that it is told to."""

    def draw_hidden(self, B, N, stage):
        """Instead of drawing."""
        return self.hidden


class Ours:
    """The Brain, made of our recipe's YAML."""

    def __init__(self, arguments, dropout):
        overrides = {
            "encoder": arguments.encoder,
            "dropout": dropout,
            "attention_dropout": dropout,
            "encoder_layerdrop": 0.0,
            "average_top_k_layers": top_k(arguments.encoder),
            "batch_seconds": arguments.seconds * arguments.batch,
            "gpu_batch_seconds": arguments.seconds * arguments.batch,
        }
        with (
            tempfile.TemporaryDirectory() as folder,
            open(recipe(arguments.encoder), encoding="utf-8") as stream,
        ):
            overrides["output_folder"] = folder
            hparams = load_hyperpyyaml(stream, overrides)
        self.brain = GivenMask(
            hparams["modules"],
            hparams["opt_class"],
            hparams,
            {"device": arguments.device, "precision": arguments.precision},
        )
        wavs, mask = make_batch(arguments)
        self.batch = CropBatch(("noise",) * len(wavs), wavs)
        hidden = mask.flatten().nonzero().squeeze(1)
        self.brain.hidden = hidden.to(self.brain.device)
        next(self.brain.epochs())
        self.brain.on_fit_start()
        self.brain.on_stage_start(sb.Stage.TRAIN, 1)
        self.brain.modules.train()

    def update(self):
        """Makes one."""
        self.brain.step += 1
        self.loss = self.brain.fit_batch(self.batch)

    def seen(self):
        """The last one's loss, a sum over frames, and gradient norm."""
        return float(self.loss), float(self.brain.grad_norm)

    def perturb(self):
        """Moves norms and biases from what they begin as."""
        student, teacher = self.brain.student, self.brain.teacher
        with torch.no_grad():
            for parameter in student.parameters():
                if parameter.dim() == 1:
                    noise = torch.randn_like(parameter)
                    parameter.add_(noise, alpha=PERTURBATION)
        encoder = student.encoder.encoder
        teacher.transformer.load_state_dict(encoder.state_dict())

    def take_fairseqs_epsilon(self):
        """Makes the first step that of fairseq's Adam: it adds epsilon before
        it corrects the bias of the second moment, torch's does afterwards."""
        for group in self.brain.optimizer.param_groups:
            group["eps"] /= math.sqrt(1 - group["betas"][1])

    def weights(self):
        """The student's, in fairseq's names."""
        student = self.brain.student
        state = student.encoder.state_dict()
        del state["_extra_state"]
        renamed, unknown = rename(state, OURS, FAIRSEQ)
        assert not unknown
        for name, value in student.predictor.linear.state_dict().items():
            renamed[f"final_proj.{name}"] = value
        return renamed


class Theirs:
    """fairseq's Trainer, made of its YAML, but for our recipe's learning rate,
    number of updates and clipping: Large has none of fairseq's own."""

    def __init__(self, arguments, dropout):
        config = dataclasses.replace(
            PRESETS[arguments.encoder],
            dropout=dropout,
            attention_dropout=dropout,
            encoder_layerdrop=0.0,
        )
        recipes = plain_values(recipe(arguments.encoder))
        optimization = {
            "lr": [recipes["lr"]],
            "max_update": recipes["number_of_updates"],
            "clip_norm": recipes["max_grad_norm"],
        }
        self.trainer = make_trainer(
            arguments.fairseq,
            config,
            top_k(arguments.encoder),
            optimization,
            arguments.precision,
            arguments.device,
        )
        wavs, mask = make_batch(arguments)
        # Ours normalises within its update, fairseq as it reads a file.
        wavs = F.layer_norm(wavs, wavs.shape[-1:])
        self.sample = {
            "id": torch.arange(len(wavs)),
            "net_input": {"source": wavs, "mask_indices": mask},
        }

    def update(self):
        """Makes one."""
        self.trainer.train_step([self.sample])

    def seen(self):
        """The last one's loss, a sum over frames, and gradient norm."""
        return self.trainer.seen


def make_both(arguments, dropout):
    """Ours and theirs, of the same weights."""
    ours, theirs = Ours(arguments, dropout), Theirs(arguments, dropout)
    ours.perturb()
    theirs.trainer.model.load_state_dict(ours.weights())
    return ours, theirs


def make_batch(arguments):
    """Waveforms (B, N), and a mask (B, T) as the recipe draws it."""
    B, N = arguments.batch, round(arguments.seconds * SAMPLE_RATE)
    T = num_frames(N, PRESETS[arguments.encoder].conv_feature_layers)
    mask = sample_span_mask(
        [T] * B, 0.65, 10, seeded_generator(0), require_same_masks=True
    )
    return torch.randn(B, N, generator=seeded_generator(1)), mask


def recipe(encoder):
    """The YAML of its pretraining; that of Base for what has none."""
    name = "large" if encoder == "large" else "base"
    return ROOT / f"hparams/d2v_pretrain_{name}.yaml"


def top_k(encoder):
    """Layers that are averaged: 8, or all of a smaller encoder's."""
    return min(8, PRESETS[encoder].encoder_layers)
