"""Pretraining on batches and hidden frames that are given, not drawn.

So that the same update can be made by one process at once, micro-batch by
micro-batch, and by several processes.

Authors
 * The d2v_sb developers 2026
"""

import functools
import sys
from pathlib import Path

import torch
from hyperpyyaml import load_hyperpyyaml
from speechbrain.utils import distributed

from d2v_sb.pretraining import PretrainingBrain
from d2v_sb.pretraining.audio import CropBatch

ROOT = Path(__file__).resolve().parents[2]
UPDATES = 4
NUM_HIDDEN = (3, 25, 10, 40)  # of the 49 frames of each row of a batch
OPTIONS = {
    "encoder": "tiny",
    "average_top_k_layers": 2,
    "number_of_updates": UPDATES,
    "validate_interval_updates": UPDATES,
    "log_interval_updates": 1,
    "batch_seconds": len(NUM_HIDDEN),
    "lr": 0.01,
    "precision": "fp32",
    # A teacher that moves.
    "ema_decay": 0.9,
    "ema_end_decay": 0.9,
    # What is drawn at random would differ.
    "dropout": 0.0,
    "attention_dropout": 0.0,
    "encoder_layerdrop": 0.0,
}


class FixedBrain(PretrainingBrain):
    """Hides what the names of a batch's rows say."""

    def compute_forward(self, batch, stage):
        self.names = batch.names
        return super().compute_forward(batch, stage)

    def draw_hidden(self, B, N, stage):
        T = self.student.encoder.num_frames(N)
        rows = [
            hidden_of(int(name)) + i * T for i, name in enumerate(self.names)
        ]
        return torch.cat(rows)


class MeanOfMeans(FixedBrain):
    """The mistake that DDP invites: each micro-batch's own mean, averaged."""

    def compute_objectives(self, outputs, batch, stage):
        loss = super().compute_objectives(outputs, batch, stage)
        return loss / len(outputs[1])

    def before_clipping(self, parameters):
        for parameter in parameters:
            if parameter.grad is not None:
                parameter.grad /= self.grad_accumulation_factor


BRAINS = {brain.__name__: brain for brain in (FixedBrain, MeanOfMeans)}


def hidden_of(row):
    """Hidden frames of a row of the run."""
    generator = torch.Generator().manual_seed(row)
    count = NUM_HIDDEN[row % len(NUM_HIDDEN)]
    return torch.randperm(49, generator=generator)[:count].sort().values


def micro_batches(num_processes, rank, accumulation):
    """One process's, of all updates: consecutive rows of each whole batch."""
    B, parts = len(NUM_HIDDEN), num_processes * accumulation
    for update in range(UPDATES):
        rows = torch.arange(update * B, (update + 1) * B).chunk(parts)
        for mine in rows[rank * accumulation : (rank + 1) * accumulation]:
            wavs = [
                torch.randn(16000, generator=torch.Generator().manual_seed(row))
                for row in mine.tolist()
            ]
            names = tuple(str(row) for row in mine.tolist())
            yield CropBatch(names, torch.stack(wavs))


def train(output, brain="FixedBrain", accumulation=1):
    """Trains, alone or as one of several processes.

    Returns
    -------
    dict
        Weights of student and teacher before and after.
    """
    rank, num_processes = 0, 1
    if torch.distributed.is_initialized():
        rank = torch.distributed.get_rank()
        num_processes = torch.distributed.get_world_size()
    seconds = len(NUM_HIDDEN) / num_processes / accumulation
    options = {**OPTIONS, "gpu_batch_seconds": seconds}
    path = ROOT / "hparams/d2v_pretrain_base.yaml"
    with open(path, encoding="utf-8") as stream:
        hparams = load_hyperpyyaml(
            stream, {**options, "output_folder": str(output)}
        )
    run_opts = {
        "device": "cpu",
        "distributed_backend": "gloo",
        "noprogressbar": True,
    }
    brain = BRAINS[brain](
        hparams["modules"],
        # Adam makes much of roundings, where a gradient should be nought.
        functools.partial(torch.optim.SGD, lr=hparams["lr"], momentum=0.5),
        hparams,
        run_opts,
    )
    assert brain.grad_accumulation_factor == accumulation
    before = weights_of(brain)
    batches = list(micro_batches(num_processes, rank, accumulation))
    loader = torch.utils.data.DataLoader(batches, batch_size=None)
    brain.fit(brain.epochs(), loader)
    assert brain.optimizer_step == UPDATES
    return {"before": before, "after": weights_of(brain)}


def weights_of(brain):
    """Copies of the student's and the teacher's, each in one tensor."""
    return {
        name: torch.cat([p.detach().flatten() for p in module.parameters()])
        for name, module in (
            ("student", brain.student),
            ("teacher", brain.teacher),
        )
    }


def main(output):
    """All cases, in each of two processes."""
    distributed.ddp_init_group({"distributed_backend": "gloo"})
    rank = torch.distributed.get_rank()
    for brain in BRAINS:
        for accumulation in (1, 2):
            folder = Path(output) / f"{brain}{accumulation}"
            outcome = train(folder, brain, accumulation)
            folder.mkdir(parents=True, exist_ok=True)
            torch.save(outcome, folder / f"rank{rank}.pt")


if __name__ == "__main__":
    main(sys.argv[1])
