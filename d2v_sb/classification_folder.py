"""Folders that ``EncoderClassifier`` and ``SpeakerRecognition`` load.

Authors
 * The d2v_sb developers 2026
"""

import dataclasses

from speechbrain.lobes.models.ECAPA_TDNN import Classifier
from speechbrain.nnet.linear import Linear
from torch import nn

from d2v_sb import __version__
from d2v_sb.errors import UserError
from d2v_sb.inference import write_folder, yaml_lines
from d2v_sb.lobes import FilterBank

FOLDER = """\
# Embeddings and classes of utterances, written by d2v_sb {version}.
#   from speechbrain.inference.classifiers import EncoderClassifier
#   classifier = EncoderClassifier.from_hparams(source="THIS_FOLDER")
#   classifier.classify_file("speech.wav")
#   from speechbrain.inference.speaker import SpeakerRecognition
#   speakers = SpeakerRecognition.from_hparams(source="THIS_FOLDER")
#   speakers.verify_files("one.wav", "another.wav")

sample_rate: 16000
num_labels: {num_labels}

{front_end}
head: !apply:d2v_sb.lobes.make_head
{head}

embedding_model: !new:d2v_sb.lobes.UtteranceEncoder
    front_end: !ref <front_end>
    head: !ref <head>

{classifier}
model: !new:d2v_sb.lobes.UtteranceClassifier
    embedding_model: !ref <embedding_model>
    classifier: !ref <output_layer>

# The model takes waveforms, so what interfaces call around it does nothing.
nothing: !new:d2v_sb.classification_folder.PassThrough

classifier: !new:d2v_sb.lobes.Posteriors
    classifier: !ref <output_layer>
    scale: {scale}

label_encoder: !new:speechbrain.dataio.encoder.CategoricalEncoder

modules:
    compute_features: !ref <nothing>
    mean_var_norm: !ref <nothing>
    embedding_model: !ref <embedding_model>
    mean_var_norm_emb: !ref <nothing>
    classifier: !ref <classifier>

pretrainer: !new:speechbrain.utils.parameter_transfer.Pretrainer
    loadables:
        model: !ref <model>
        label_encoder: !ref <label_encoder>
    custom_hooks:
        label_encoder: !name:d2v_sb.inference.load_tokenizer
            num_labels: !ref <num_labels>
"""

DATA2VEC = """\
front_end: !new:d2v_sb.lobes.WeightedData2Vec
    hub: !new:d2v_sb.presets.EncoderConfig
{config}
    layernorm: {layernorm}
    padding: {padding}
"""

FILTER_BANK = """\
front_end: !new:d2v_sb.lobes.FilterBank
    n_mels: {n_mels}
"""

COSINES = """\
output_layer: !new:speechbrain.lobes.models.ECAPA_TDNN.Classifier
    input_size: {embedding_size}
    out_neurons: !ref <num_labels>
"""

LOGITS = """\
output_layer: !new:speechbrain.nnet.linear.Linear
    input_size: {embedding_size}
    n_neurons: !ref <num_labels>
"""


class PassThrough(nn.Module):
    """Its first argument, whatever else interfaces pass.

    Example
    -------
    >>> PassThrough()(1, 2)
    1
    """

    def forward(self, x, *_):
        """The first argument."""
        return x


def export_classifier(folder, model, labels, scale):
    """Writes a folder that SpeechBrain's interfaces load with no network.

    Arguments
    ---------
    folder : str or pathlib.Path
        The folder to make; replaced when all is written.
    model : UtteranceClassifier
        Encoder, head and classifier.
    labels : Labels
        Its classes.
    scale : float
        What makes logits of its outputs: that of the loss.

    Raises
    ------
    UserError
        See ``folder_text``.
    """
    text = folder_text(model, len(labels), scale)
    write_folder(folder, text, model, label_encoder=labels)


def folder_text(model, num_labels, scale):
    """The ``hyperparams.yaml`` of a model.

    Arguments
    ---------
    model, scale
        As of ``export_classifier``.
    num_labels : int
        How many classes there are.

    Returns
    -------
    str

    Raises
    ------
    UserError
        If the head is none of ``make_head``, or the classifier of another kind
        than the YAML files have.
    """
    embedding_model = model.embedding_model
    head = embedding_model.head
    if not hasattr(head, "options"):
        raise UserError(
            f"a {type(head).__name__} as head can not be exported: take one of "
            "d2v_sb.lobes.make_head"
        )
    return FOLDER.format(
        version=__version__,
        num_labels=num_labels,
        front_end=_front_end(embedding_model.front_end),
        head=yaml_lines(head.options),
        classifier=_classifier(model.classifier).format(**head.options),
        scale=scale,
    )


def _front_end(front_end):
    if isinstance(front_end, FilterBank):
        return FILTER_BANK.format(n_mels=front_end.output_size)
    encoder = front_end.encoder
    return DATA2VEC.format(
        config=yaml_lines(dataclasses.asdict(encoder.config), depth=8),
        layernorm=front_end.layernorm,
        padding=encoder.encoder.positions.padding,
    )


def _classifier(classifier):
    if isinstance(classifier, Classifier) and not len(classifier.blocks):
        return COSINES
    if isinstance(classifier, Linear) and classifier.w.bias is not None:
        return LOGITS
    raise UserError(
        f"a {type(classifier).__name__} as classifier can not be exported: take "
        "SpeechBrain's ECAPA_TDNN.Classifier without layers of its own, or its "
        "Linear with a bias"
    )
