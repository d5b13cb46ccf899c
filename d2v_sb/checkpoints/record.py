"""What is read from a checkpoint, whatever its format, and how it is checked.

Authors
 * The d2v_sb developers 2026
"""

import dataclasses

import torch

from d2v_sb.errors import CheckpointError
from d2v_sb.presets import EncoderConfig

# Whose transformer an encoder gets.
CHOICES = ("student", "teacher")


@dataclasses.dataclass
class Checkpoint:
    """The contents of a checkpoint under our names.

    Arguments
    ---------
    path : str
        Where it was read, for messages.
    kind : str
        What it is, for people.
    config : EncoderConfig
        The architecture.
    encoder : dict, optional
        Weights of ``Data2VecAudio``; None means random ones.
    ctc_head : dict, optional
        "weight" (V, D) and "bias" (V,) of a CTC output layer.
    vocabulary : list of str, optional
        Its V tokens; the blank is the first.
    predictor : dict, optional
        "weight" (D, D) and "bias" (D,) of pretraining's predictor.
    teacher : dict, optional
        Weights of the teacher's ``TransformerEncoder``.
    training_config : dict
        The configuration found inside, as plain data.
    """

    path: str
    kind: str
    config: EncoderConfig
    encoder: dict | None = None
    ctc_head: dict | None = None
    vocabulary: list | None = None
    predictor: dict | None = None
    teacher: dict | None = None
    training_config: dict = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        if self.encoder is None:
            return
        D = self.config.encoder_embed_dim
        shapes = encoder_shapes(self.config)
        self.encoder = self._checked("encoder", self.encoder, shapes)
        if self.teacher is not None:
            shapes = {
                name.removeprefix("encoder."): shape
                for name, shape in shapes.items()
                if name.startswith("encoder.")
            }
            self.teacher = self._checked("teacher", self.teacher, shapes)
        if self.predictor is not None:
            shapes = {"weight": (D, D), "bias": (D,)}
            self.predictor = self._checked("predictor", self.predictor, shapes)
        if self.ctc_head is not None:
            V = len(self.ctc_head.get("bias", ()))
            shapes = {"weight": (V, D), "bias": (V,)}
            self.ctc_head = self._checked("CTC head", self.ctc_head, shapes)
            if self.vocabulary is not None and len(self.vocabulary) != V:
                raise CheckpointError(
                    f"{self.path}: the CTC head has {V} outputs, but its "
                    f"vocabulary has {len(self.vocabulary)} tokens"
                )

    def choose(self, weights):
        """Chooses whose transformer the encoder gets.

        The teacher has no conv stack, projection or mask embedding: these are
        the student's in any case (fairseq: load_ema).

        Arguments
        ---------
        weights : str
            "student" or "teacher".

        Returns
        -------
        Checkpoint
            Itself, or a copy with the teacher's transformer in the encoder
            and all else as it is.

        Raises
        ------
        CheckpointError
            If it holds no teacher and the teacher's weights are asked for.
        ValueError
            If `weights` is neither.

        Example
        -------
        >>> from d2v_sb.checkpoints import load_checkpoint
        >>> load_checkpoint("tiny").choose("student").kind
        'random weights'
        """
        if weights not in CHOICES:
            raise ValueError(
                f"weights={weights!r} is neither of {', '.join(CHOICES)}"
            )
        if weights == "student":
            return self
        if self.teacher is None:
            raise CheckpointError(
                f"{self.path} ({self.kind}) holds no teacher: take the "
                "student's weights, or name a pretrained checkpoint that has "
                "both, such as the folder of a pretraining run or a "
                "pretrained fairseq .pt"
            )
        # Copies, because safetensors refuses weights that share memory.
        transformer = {
            f"encoder.{name}": value.clone()
            for name, value in self.teacher.items()
        }
        return dataclasses.replace(
            self, encoder={**self.encoder, **transformer}
        )

    def _checked(self, part, tensors, shapes):
        """The tensors in fp32, if names and shapes are as they must be."""
        problems = []
        missing = [k for k in shapes if k not in tensors]
        unexpected = [k for k in tensors if k not in shapes]
        wrong = [
            f"{k} {tuple(tensors[k].shape)} instead of {tuple(shapes[k])}"
            for k in shapes
            if k in tensors and tuple(tensors[k].shape) != tuple(shapes[k])
        ]
        if missing:
            problems.append("missing " + ", ".join(missing))
        if unexpected:
            problems.append("unexpected " + ", ".join(unexpected))
        if wrong:
            problems.append("misshapen " + ", ".join(wrong))
        if problems:
            raise CheckpointError(
                f"{self.path} ({self.kind}): the {part}'s weights do not fit "
                f"its configuration: {'; '.join(problems)}"
            )
        return {k: tensors[k].to(torch.float32) for k in shapes}


def encoder_shapes(config):
    """Names and shapes of all weights of an encoder.

    Arguments
    ---------
    config : EncoderConfig
        The architecture.

    Returns
    -------
    dict
        Shape by name, as in ``Data2VecAudio``'s state_dict.

    Example
    -------
    >>> from d2v_sb.presets import PRESETS
    >>> encoder_shapes(PRESETS["base"])["mask_emb"]
    (768,)
    """
    D, F = config.encoder_embed_dim, config.encoder_ffn_embed_dim
    shapes = {"mask_emb": (D,)}

    def affine(name, out, *rest):
        shapes[f"{name}.weight"] = (out, *rest)
        shapes[f"{name}.bias"] = (out,)

    C = 1
    for i, (channels, kernel, _) in enumerate(config.conv_feature_layers):
        layer = f"feature_extractor.layers.{i}"
        shapes[f"{layer}.conv.weight"] = (channels, C, kernel)
        if config.conv_bias:
            shapes[f"{layer}.conv.bias"] = (channels,)
        affine(f"{layer}.norm", channels)
        C = channels
    affine("projection.norm", C)
    affine("projection.linear", D, C)
    for i in range(config.pos_conv_depth):
        affine(
            f"encoder.positions.layers.{i}.conv",
            D,
            D // config.conv_pos_groups,
            config.pos_conv_kernel,
        )
    affine("encoder.layer_norm", D)
    for i in range(config.encoder_layers):
        layer = f"encoder.layers.{i}"
        for part in ("q", "k", "v", "out"):
            affine(f"{layer}.self_attn.{part}_proj", D, D)
        affine(f"{layer}.self_attn_layer_norm", D)
        affine(f"{layer}.fc1", F, D)
        affine(f"{layer}.fc2", D, F)
        affine(f"{layer}.final_layer_norm", D)
    return shapes
