"""Features of audio for ``Engine``: layers of an encoder, or embeddings.

Authors
 * The d2v_sb developers 2026
"""

from pathlib import Path

import numpy as np
import torch

from d2v_sb.bulk.models import find_folder, interface_name, load_interface
from d2v_sb.bulk.pieces import AtPauses, Overlapping
from d2v_sb.errors import UserError
from d2v_sb.lobes import Data2VecAudio, WeightedData2Vec

DTYPES = {"float32": torch.float32, "float16": torch.float16}
POOLS = ("none", "mean", "mean_std", "model")


def parse_layers(text, num_layers):
    """Which layers a user means.

    Arguments
    ---------
    text : str
        "last", "all", "weighted", or numbers with commas between them: 0 is
        the input of the first block, L the output of the last.
    num_layers : int
        L.

    Returns
    -------
    list of int or None
        The layers; None for a model's weighted sum.

    Raises
    ------
    UserError
        If it is something else.

    Example
    -------
    >>> parse_layers("last", 12), parse_layers("0,6", 12)
    ([12], [0, 6])
    >>> parse_layers("13", 12)
    Traceback (most recent call last):
    d2v_sb.errors.UserError: --layers 13: this encoder has the layers 0 to 12 ...
    """
    named = {"last": [num_layers], "all": [*range(num_layers + 1)]}
    if text in named:
        return named[text]
    if text == "weighted":
        return None
    try:
        layers = [int(part) for part in text.split(",")]
    except ValueError:
        layers = []
    if not layers or not all(0 <= layer <= num_layers for layer in layers):
        raise UserError(
            f"--layers {text}: this encoder has the layers 0 to {num_layers} "
            "(0 is what enters the first block); give numbers with commas "
            "between them, or last, all, weighted"
        )
    return layers


class LayerFeatures:
    """Frames of layers of an encoder.

    Arguments
    ---------
    encoder : Data2VecAudio
        The encoder, which is put into eval mode.
    layers : list of int
        Which states; of several, frames are (T, K, D), of one (T, D).
    device : torch.device
        Where it goes.
    dtype : str
        One of ``DTYPES``.
    chunk_seconds, context_seconds : float
        See ``Overlapping``.

    Example
    -------
    >>> features = LayerFeatures(Data2VecAudio("tiny", freeze=True), [0, 2])
    >>> tensors = features.forward(torch.rand(1, 8000), torch.ones(1))
    >>> features.rows(tensors, [8000])[0].shape
    (24, 2, 128)
    """

    def __init__(
        self,
        encoder,
        layers,
        device=torch.device("cpu"),
        dtype="float32",
        chunk_seconds=40.0,
        context_seconds=4.0,
    ):
        self.encoder = encoder.to(device).eval()
        self.layers = layers
        last_alone = layers == [encoder.config.encoder_layers]
        self.encoder.output_all_hiddens = not last_alone
        self.device = device
        self.dtype = DTYPES[dtype]
        self.cut = Overlapping(
            encoder.config.conv_feature_layers, chunk_seconds, context_seconds
        )

    @property
    def module(self):
        """What has the weights."""
        return self.encoder

    def forward(self, wavs, wav_lens):
        """A padded batch to frames (B, T, K, D), or (B, T, D) of one layer."""
        states = self.encoder(wavs, wav_lens)
        if states.dim() == 4:
            states = states[self.layers].permute(1, 2, 0, 3)
            states = states.squeeze(2) if len(self.layers) == 1 else states
        return (states.to(self.dtype),)

    def rows(self, tensors, num_samples):
        """Frames of each row, padding left out."""
        frames = [self.encoder.num_frames(n) for n in num_samples]
        return [x[:T].numpy() for x, T in zip(tensors[0], frames, strict=True)]


class WeightedFeatures(LayerFeatures):
    """Frames of a model's own weighted sum of layers.

    Arguments
    ---------
    front_end : WeightedData2Vec
        With learned weights.
    **options : dict
        As ``LayerFeatures``'.
    """

    def __init__(self, front_end, **options):
        super().__init__(front_end.encoder, None, **options)
        self.encoder.output_all_hiddens = True
        self.front_end = front_end.to(self.device).eval()

    @property
    def module(self):
        """What has the weights."""
        return self.front_end

    def forward(self, wavs, wav_lens):
        """A padded batch to frames (B, T, D)."""
        return (self.front_end(wavs, wav_lens).to(self.dtype),)


class Embeddings:
    """One vector an utterance, by the model's own head.

    Arguments
    ---------
    classifier : EncoderClassifier or SpeakerRecognition
        Of SpeechBrain.
    chunk_seconds : float
        A longer file is cut at pauses; its embedding is the mean of those of
        its pieces, each counting by its length.
    """

    def __init__(self, classifier, chunk_seconds=40.0):
        self.classifier = classifier
        self.device = torch.device(classifier.device)
        self.cut = AtPauses(chunk_seconds)

    @property
    def module(self):
        """What has the weights."""
        return self.classifier

    def forward(self, wavs, wav_lens):
        """A padded batch to embeddings (B, C)."""
        embeddings = self.classifier.encode_batch(wavs, wav_lens)
        return (embeddings.squeeze(1).float(),)

    def rows(self, tensors, num_samples):
        """Each row's embedding, as frames (1, C)."""
        return list(tensors[0][:, None].numpy())


class Mean:
    """Mean of what is added along the first axis, and deviation if asked.

    Arguments
    ---------
    with_std : bool
        Whether the standard deviation follows the mean.

    Example
    -------
    >>> mean = Mean(with_std=True)
    >>> mean.add(np.array([[1.0], [3.0]]))
    >>> mean.add(np.array([[5.0]]))
    >>> mean.result().round(3)
    array([3.   , 1.633], dtype=float32)
    """

    def __init__(self, with_std=False):
        self.with_std = with_std
        self._weight, self._sum, self._squares = 0.0, 0.0, 0.0

    def add(self, frames, weight=1.0):
        """Takes frames (T, …), each counting so much."""
        frames = frames.astype(np.float64)
        self._weight += weight * len(frames)
        self._sum = self._sum + weight * frames.sum(axis=0)
        if self.with_std:
            self._squares = self._squares + weight * (frames**2).sum(axis=0)

    def result(self):
        """(…, C), or (…, 2 C) with deviations; float32."""
        mean = self._sum / self._weight
        if not self.with_std:
            return mean.astype(np.float32)
        variance = np.maximum(0, self._squares / self._weight - mean**2)
        both = np.concatenate([mean, np.sqrt(variance)], axis=-1)
        return both.astype(np.float32)


def load_features(
    source, layers, pool, device, dtype, chunk_seconds, context_seconds
):
    """Loads what gives features.

    Arguments
    ---------
    source : str
        Any source of an encoder, or a model folder for speakers or classes.
    layers : str
        See ``parse_layers``.
    pool : str or None
        One of ``POOLS``; None is the model's own embeddings where it has some,
        else frames.
    device : torch.device
        Where it goes.
    dtype : str
        One of ``DTYPES``.
    chunk_seconds, context_seconds : float
        See ``LayerFeatures``.

    Returns
    -------
    LayerFeatures, WeightedFeatures or Embeddings
    str
        How frames are pooled.

    Raises
    ------
    UserError
        If the model has not what is asked for.

    Example
    -------
    >>> cpu = torch.device("cpu")
    >>> load_features("tiny", "last", None, cpu, "float32", 40, 4)[1]
    'none'
    """
    classifier = None
    if pool == "model" or model_folder(source):
        classifier = load_interface(source, device, ("SpeakerRecognition",))
    if pool is None:
        own = classifier is not None and layers is None
        pool = "model" if own else "none"
    if pool == "model":
        if layers is not None:
            raise UserError(
                "--pool model: the model's own embeddings are of its own "
                "choice of layers; leave out --layers"
            )
        return Embeddings(classifier, chunk_seconds), pool
    options = {
        "device": device,
        "dtype": dtype if pool == "none" else "float32",
        "chunk_seconds": chunk_seconds,
        "context_seconds": context_seconds,
    }
    front_end = None
    if classifier is not None:
        front_end = getattr(classifier.mods.embedding_model, "front_end", None)
        encoder = getattr(front_end, "encoder", None)
        if not isinstance(encoder, Data2VecAudio):
            raise UserError(f"{source} has no encoder of d2v_sb in it")
    else:
        encoder = Data2VecAudio(source, freeze=True)
    chosen = parse_layers(layers or "last", encoder.config.encoder_layers)
    if chosen is not None:
        return LayerFeatures(encoder, chosen, **options), pool
    if not isinstance(front_end, WeightedData2Vec):
        raise UserError(
            f"--layers weighted: {source} has no learned weights of layers; a "
            "model folder for speakers or emotions has"
        )
    return WeightedFeatures(front_end, **options), pool


def model_folder(source):
    """The model folder for speakers or classes that a source is, or "". A hub
    name is taken for an encoder's."""
    if not Path(source).is_dir():
        return ""
    try:
        folder = find_folder(source)
        is_one = interface_name(folder) == "SpeakerRecognition"
    except UserError:
        return ""
    return folder if is_one else ""
