"""The architecture of an encoder, and the names under which encoders are known.

``EncoderConfig`` travels with every checkpoint, so a file is enough to rebuild
the encoder. ``PRESETS`` holds architectures with random weights; add your own
with ``register_preset``. ``HUB_NAMES`` are the published weights.

Reference: https://arxiv.org/abs/2202.03555

Authors
 * The d2v_sb developers 2026
"""

import dataclasses
import json
from dataclasses import dataclass

SAMPLE_RATE = 16000  # Hz, of every data2vec audio model


@dataclass(frozen=True)
class EncoderConfig:
    """Sizes and regularisation of a Data2Vec-Audio encoder, in fairseq's names.

    The defaults are data2vec Base.

    Arguments
    ---------
    conv_feature_layers : sequence of (channels, kernel, stride)
        The convolutional feature extractor, first layer first.
    conv_bias : bool
        Whether these convolutions have a bias.
    encoder_layers : int
        Number of transformer blocks.
    encoder_embed_dim : int
        Width of the transformer.
    encoder_ffn_embed_dim : int
        Width inside the feed-forward part of a block.
    encoder_attention_heads : int
        Number of attention heads.
    conv_pos : int
        Kernel of the positional convolutions, summed over their depth.
    conv_pos_groups : int
        Groups of a positional convolution.
    pos_conv_depth : int
        Number of positional convolutions.
    dropout : float
        On residual branches and after the encoder's norm.
    attention_dropout : float
        On attention weights.
    activation_dropout : float
        Inside the feed-forward part.
    dropout_input : float
        On the projected frames.
    encoder_layerdrop : float
        Probability with which training skips a block.
    normalize : bool
        Whether the weights expect each waveform with zero mean and unit
        variance. It is a property of the weights, not a choice of the user.

    Raises
    ------
    ValueError
        If sizes do not fit each other.

    Example
    -------
    >>> config = EncoderConfig(encoder_layers=2)
    >>> EncoderConfig.from_json(config.to_json()) == config
    True
    """

    conv_feature_layers: tuple = (
        ((512, 10, 5),) + ((512, 3, 2),) * 4 + ((512, 2, 2),) * 2
    )
    conv_bias: bool = False
    encoder_layers: int = 12
    encoder_embed_dim: int = 768
    encoder_ffn_embed_dim: int = 3072
    encoder_attention_heads: int = 12
    conv_pos: int = 95
    conv_pos_groups: int = 16
    pos_conv_depth: int = 5
    dropout: float = 0.1
    attention_dropout: float = 0.1
    activation_dropout: float = 0.0
    dropout_input: float = 0.0
    encoder_layerdrop: float = 0.05
    normalize: bool = True

    def __post_init__(self):
        layers = tuple(
            tuple(int(n) for n in row) for row in self.conv_feature_layers
        )
        # Frozen dataclass: lists from YAML and JSON become tuples only so.
        object.__setattr__(self, "conv_feature_layers", layers)
        if not layers or any(len(row) != 3 for row in layers):
            raise ValueError(
                "conv_feature_layers holds (channels, kernel, stride) for "
                f"each layer, got {self.conv_feature_layers!r}"
            )
        for divisor in ("encoder_attention_heads", "conv_pos_groups"):
            if self.encoder_embed_dim % getattr(self, divisor):
                raise ValueError(
                    f"encoder_embed_dim={self.encoder_embed_dim} is not a "
                    f"multiple of {divisor}={getattr(self, divisor)}"
                )

    @property
    def pos_conv_kernel(self):
        """Kernel of each positional convolution (fairseq: make_conv_pos)."""
        return max(3, self.conv_pos // self.pos_conv_depth)

    def architecture(self):
        """The fields that decide the names, shapes or meaning of weights."""
        fields = dataclasses.asdict(self)
        return {k: v for k, v in fields.items() if k not in REGULARISATION}

    def to_json(self):
        """One line of JSON, stable in its order."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text):
        """The inverse of ``to_json``."""
        return cls(**json.loads(text))


# Free to change on top of trained weights; all else belongs to the weights.
REGULARISATION = (
    "dropout",
    "attention_dropout",
    "activation_dropout",
    "dropout_input",
    "encoder_layerdrop",
)

PRESETS = {
    # Ours, for tests and the demo: seconds on a CPU, never for results.
    "tiny": EncoderConfig(
        conv_feature_layers=((32, 10, 5),)
        + ((32, 3, 2),) * 4
        + ((32, 2, 2),) * 2,
        encoder_layers=2,
        encoder_embed_dim=128,
        encoder_ffn_embed_dim=512,
        encoder_attention_heads=4,
    ),
    # Ours, for people without a GPU: pretrained weights ship as "d2v_sb/small".
    "small": EncoderConfig(
        conv_feature_layers=((32, 10, 5),)
        + ((32, 3, 2),) * 2
        + ((64, 3, 2),) * 2
        + ((64, 2, 2),) * 2,
        encoder_layers=3,
        encoder_embed_dim=128,
        encoder_ffn_embed_dim=512,
        encoder_attention_heads=2,
    ),
    # data2vec paper, section 4.2, and fairseq's base_librispeech.yaml
    "base": EncoderConfig(),
    # data2vec paper, section 4.2; post-norm as the released weights are
    "large": EncoderConfig(
        encoder_layers=24,
        encoder_embed_dim=1024,
        encoder_ffn_embed_dim=4096,
        encoder_attention_heads=16,
    ),
}

HUB_NAMES = tuple(
    f"facebook/data2vec-audio-{size}{tuned}"
    for size in ("base", "large")
    for tuned in ("", "-10m", "-100h", "-960h")
)


def register_preset(name, config):
    """Make an architecture known by name, as ``source`` of an encoder.

    Arguments
    ---------
    name : str
        The name; it has no slash, so that it is never taken for a path or
        for a hub name.
    config : EncoderConfig
        The architecture.

    Raises
    ------
    ValueError
        If the name holds a slash or stands for another architecture already.

    Example
    -------
    >>> register_preset("narrow", EncoderConfig(encoder_layers=3))
    >>> PRESETS["narrow"].encoder_layers
    3
    >>> _ = PRESETS.pop("narrow")
    """
    if "/" in name or not name:
        raise ValueError(f"a preset's name has no slash, got {name!r}")
    if PRESETS.get(name, config) != config:
        raise ValueError(
            f"the preset {name!r} is another architecture already; known: "
            + ", ".join(PRESETS)
        )
    PRESETS[name] = config


def known_sources():
    """A sentence that lists what ``source`` may be, for error messages."""
    return (
        f"Known names: {', '.join(PRESETS)} (random weights);\n"
        f"{', '.join(HUB_NAMES[:4])},\n{', '.join(HUB_NAMES[4:])} "
        "(published weights, fetched from the hub).\n"
        "d2v_sb/small (weights that come with d2v_sb).\n"
        "Or give the path of a Transformers folder, a fairseq .pt, a "
        ".safetensors or .ckpt of d2v_sb, or the folder of a pretraining run."
    )
