"""fairseq's own Trainer of data2vec, from a clone of fairseq.

Its code is not changed. What its imports need besides, and for what Python,
``benchmarks/pretraining.py`` says.

Reference: https://github.com/facebookresearch/fairseq
(examples/data2vec/config/audio/pretraining/base_librispeech.yaml)

Authors
 * The d2v_sb developers 2026
"""

import contextlib
import dataclasses
import importlib
import subprocess
import sys
from pathlib import Path

from d2v_sb.errors import UserError

YAML = "examples/data2vec/config/audio/pretraining/base_librispeech.yaml"
MODEL = "examples.data2vec.models.data2vec_audio"
HASHABLE = ("fairseq", "hydra")  # packages


def commit_of_clone(folder):
    """fairseq's short commit.

    Arguments
    ---------
    folder : str
        Of a clone.

    Returns
    -------
    str

    Raises
    ------
    UserError
        If it is no clone of fairseq.
    """
    if not (Path(folder) / YAML).is_file():
        raise UserError(
            f"--fairseq {folder} has no {YAML}: give it a clone of "
            "https://github.com/facebookresearch/fairseq"
        )
    return subprocess.run(
        ["git", "-C", folder, "rev-parse", "--short", "HEAD"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()


def make_trainer(folder, config, top_k, optimization, precision, device):
    """A Trainer that pretrains data2vec as fairseq's YAML says.

    Arguments
    ---------
    folder : str
        The clone.
    config : EncoderConfig
        Sizes and regularisation of the encoder.
    top_k : int
        Layers that are averaged.
    optimization : dict
        Options of fairseq's group of that name: lr, clip_norm and others.
    precision : str
        "fp32" or "bf16" (a bfloat16 model, float32 copies of its weights in
        the optimiser).
    device : str
        "cpu", or anything else for the GPU that fairseq takes.

    Returns
    -------
    fairseq.trainer.Trainer
        Of random weights; all that is not given is as the YAML has it. After
        each ``train_step`` its ``seen`` are the loss, summed over hidden
        frames, and the gradient's norm.
    """
    import_fairseq(folder)
    from fairseq.tasks import setup_task
    from fairseq.trainer import Trainer

    class Keeping(Trainer):
        """Keeps what the real one logs with three digits."""

        def _reduce_and_log_stats(self, outputs, sample_size, grad_norm=None):
            self.seen = float(outputs[0]["loss"]), float(grad_norm)
            return super()._reduce_and_log_stats(
                outputs, sample_size, grad_norm
            )

    cfg = compose(folder, config, top_k, optimization)
    cfg.common.bf16 = precision == "bf16"
    cfg.common.cpu = device == "cpu"
    task = setup_task(cfg.task)
    model = task.build_model(cfg.model)
    return Keeping(cfg, task, model, task.build_criterion(cfg.criterion))


def import_fairseq(folder):
    """Imports fairseq and its data2vec from a clone."""
    if folder not in sys.path:
        sys.path.append(folder)
    with hashable_dataclasses():
        importlib.import_module("fairseq")
        importlib.import_module(MODEL)


@contextlib.contextmanager
def hashable_dataclasses():
    """Lets fairseq's and hydra's options be defaults of others.

    From Python 3.11 on a dataclass refuses a default that has no hash, which
    in their options is another dataclass. With a hash it takes it, as before.
    """
    plain = dataclasses.dataclass

    def dataclass(cls=None, /, **options):
        if cls is None:
            return lambda decorated: dataclass(decorated, **options)
        if cls.__module__.partition(".")[0] in HASHABLE:
            options = {"unsafe_hash": True, **options}
        return plain(cls, **options)

    dataclasses.dataclass = dataclass
    try:
        yield
    finally:
        dataclasses.dataclass = plain


def compose(folder, config, top_k, optimization):
    """What fairseq_cli/hydra_train.py makes of the YAML and of overrides."""
    from fairseq.dataclass.configs import FairseqConfig
    from fairseq.dataclass.initialize import add_defaults
    from fairseq.dataclass.utils import omegaconf_no_object_check
    from omegaconf import OmegaConf

    published = OmegaConf.load(Path(folder) / YAML)
    model = dataclasses.asdict(config)
    layers = model.pop("conv_feature_layers")
    published.task.normalize = model.pop("normalize")
    published.model.update(model, conv_feature_layers=str(list(layers)))
    published.model.average_top_k_layers = top_k
    published.optimization.update(optimization)
    published.task.data = ""
    published.common.fp16 = False
    published.distributed_training.distributed_world_size = 1
    with omegaconf_no_object_check():
        cfg = OmegaConf.merge(OmegaConf.structured(FairseqConfig), published)
        add_defaults(cfg)
        plain = OmegaConf.to_container(cfg, resolve=True, enum_to_str=True)
        return OmegaConf.create(plain)
