"""What SpeechBrain's inference interfaces lack, and folders that they load.

Authors
 * The d2v_sb developers 2026
"""

import dataclasses
import json

import torch
from speechbrain.dataio.encoder import CategoricalEncoder
from speechbrain.decoders.ctc import ctc_greedy_decode as sb_greedy_decode

from d2v_sb import __version__
from d2v_sb.atomic import replacing
from d2v_sb.errors import CheckpointError

CTC_FOLDER = """\
# CTC speech recognition, written by d2v_sb {version}.
#   from speechbrain.inference.ASR import EncoderASR
#   asr = EncoderASR.from_hparams(source="THIS_FOLDER")
#   asr.transcribe_file("speech.wav")

{common}
blank_index: {blank_index}

ctc_lin: !new:speechbrain.nnet.linear.Linear
    input_size: {width}
    n_neurons: !ref <num_labels>

model: !new:d2v_sb.lobes.CTCModel
    encoder: !ref <data2vec>
    head: !ref <ctc_lin>
    blank_index: !ref <blank_index>

modules:
    encoder: !ref <model>

{greedy}
{pretrainer}"""

GREEDY = """\
decoding_function: !name:d2v_sb.inference.ctc_greedy_decode
    blank_id: !ref <blank_index>
"""

JOINT_FOLDER = """\
# Speech recognition with CTC and attention, written by d2v_sb {version}.
#   from speechbrain.inference.ASR import EncoderDecoderASR
#   asr = EncoderDecoderASR.from_hparams(source="THIS_FOLDER")
#   asr.transcribe_file("speech.wav")

{common}
encoder: !new:d2v_sb.lobes.SpeechEncoder
    encoder: !ref <data2vec>
    width: {width}

ctc_lin: !new:speechbrain.nnet.linear.Linear
    input_size: {width}
    n_neurons: !ref <num_labels>

decoder: !new:d2v_sb.lobes.AttentionDecoder
    num_labels: !ref <num_labels>
    width: {width}
{decoder}

seq_lin: !new:speechbrain.nnet.linear.Linear
    input_size: {width}
    n_neurons: !ref <num_labels>

model: !new:d2v_sb.lobes.JointModel
    encoder: !ref <encoder>
    ctc_head: !ref <ctc_lin>
    decoder: !ref <decoder>
    seq_head: !ref <seq_lin>

searcher: !apply:d2v_sb.search.joint_searcher
    model: !ref <model>
{search}

modules:
    encoder: !ref <encoder>
    decoder: !ref <searcher>
    model: !ref <model>

{pretrainer}"""

PRETRAINER = """\
pretrainer: !new:speechbrain.utils.parameter_transfer.Pretrainer
    loadables:
        model: !ref <model>
        tokenizer: !ref <tokenizer>
    custom_hooks:
        tokenizer: !name:d2v_sb.inference.load_tokenizer
            num_labels: !ref <num_labels>
"""

COMMON = """\
sample_rate: 16000
num_labels: {num_labels}

data2vec: !new:d2v_sb.lobes.Data2VecAudio
    source: !new:d2v_sb.presets.EncoderConfig
{config}
    padding: {padding}
    output_norm: {output_norm}

tokenizer: !new:{tokenizer_class}
"""


def ctc_greedy_decode(log_probs, wav_lens, blank_id=0):
    """Best path of each utterance, padding left out exactly.

    SpeechBrain's function finds the end of an utterance by rounding its
    relative length, which is off by a frame now and then. ``CTCModel`` makes
    padded frames blank, so here nothing has to be cut.

    Arguments
    ---------
    log_probs : torch.Tensor
        Of a ``CTCModel`` (B, T, V).
    wav_lens : torch.Tensor or None
        Not used; interfaces pass it.
    blank_id : int
        The blank's label.

    Returns
    -------
    list of list of int
        Labels of each utterance.

    Example
    -------
    >>> log_probs = torch.eye(3)[[1, 1, 0, 2]].log()[None]
    >>> ctc_greedy_decode(log_probs, None)
    [[1, 2]]
    """
    ones = torch.ones(len(log_probs))
    return sb_greedy_decode(log_probs, ones, blank_id=blank_id)


def load_tokenizer(tokenizer, path, num_labels):
    """Loads labels and checks that they fit the model.

    Arguments
    ---------
    tokenizer : CategoricalEncoder or SentencePieceProcessor
        To be filled: letters, classes or subwords.
    path : str
        Its file.
    num_labels : int
        Outputs of the model.

    Raises
    ------
    CheckpointError
        If it has another number of labels.
    """
    tokenizer.load(str(path))
    if isinstance(tokenizer, CategoricalEncoder):
        tokenizer.expect_len(num_labels)  # else it warns
    if len(tokenizer) != num_labels:
        raise CheckpointError(
            f"{path} has {len(tokenizer)} labels, but the model has "
            f"{num_labels} outputs: the two are not of one training"
        )


def export_ctc(folder, model, tokenizer):
    """Writes a folder that ``EncoderASR`` loads with no network.

    Arguments
    ---------
    folder : str or pathlib.Path
        The folder to make; replaced when all is written.
    model : CTCModel
        Encoder and head.
    tokenizer : Letters or Subwords
        Its labels.
    """
    text = CTC_FOLDER.format(
        version=__version__,
        pretrainer=PRETRAINER,
        greedy=GREEDY,
        common=_common(model.encoder, tokenizer),
        blank_index=model.blank_index,
        width=model.encoder.output_size,
    )
    write_folder(folder, text, model, tokenizer=tokenizer)


def export_joint(folder, model, tokenizer, search):
    """Writes a folder that ``EncoderDecoderASR`` loads with no network.

    Arguments
    ---------
    folder : str or pathlib.Path
        The folder to make; replaced when all is written.
    model : JointModel
        Encoder, decoder and heads.
    tokenizer : Subwords
        Its labels.
    search : dict
        Arguments of ``joint_searcher``.
    """
    text = JOINT_FOLDER.format(
        version=__version__,
        pretrainer=PRETRAINER,
        common=_common(model.encoder.encoder, tokenizer),
        width=model.encoder.linear.out_features,
        decoder=yaml_lines(model.decoder.sizes),
        search=yaml_lines(search),
    )
    write_folder(folder, text, model, tokenizer=tokenizer)


def _common(encoder, tokenizer):
    """What the folders of all models have: encoder and labels."""
    return COMMON.format(
        num_labels=len(tokenizer),
        config=yaml_lines(dataclasses.asdict(encoder.config), depth=8),
        padding=encoder.encoder.positions.padding,
        output_norm=encoder.output_norm,
        tokenizer_class=tokenizer.loaded_as,
    )


def yaml_lines(values, depth=4):
    """Plain values as lines of YAML; JSON is YAML, tuples become lists.

    Arguments
    ---------
    values : dict
        By key.
    depth : int
        Spaces before each line.

    Returns
    -------
    str

    Example
    -------
    >>> print(yaml_lines({"alpha": 0.5, "sizes": (1, 2)}, depth=2))
      alpha: 0.5
      sizes: [1, 2]
    """
    return "\n".join(
        f"{' ' * depth}{name}: {json.dumps(value)}"
        for name, value in values.items()
    )


def write_folder(folder, text, model, **others):
    """Writes an inference folder, replaced when all is written.

    Arguments
    ---------
    folder : str or pathlib.Path
        The folder to make.
    text : str
        Its ``hyperparams.yaml``.
    model : torch.nn.Module
        For ``model.ckpt``.
    **others : dict
        What else the pretrainer loads, each with `save`, for ``<name>.ckpt``.
    """
    with replacing(folder) as beside:
        beside.mkdir()
        (beside / "hyperparams.yaml").write_text(text, encoding="utf-8")
        weights = {k: v.cpu() for k, v in model.state_dict().items()}
        torch.save(weights, beside / "model.ckpt")
        for name, other in others.items():
            other.save(beside / f"{name}.ckpt")
