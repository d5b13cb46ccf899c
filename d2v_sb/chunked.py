"""Files of any length, heard in chunks that overlap.

Authors
 * The d2v_sb developers 2026
"""

import math

import soundfile
import torch

from d2v_sb.alignment import WordBuilder, label_texts
from d2v_sb.errors import DataError, UserError
from d2v_sb.greedy_path import GreedyPath
from d2v_sb.lobes.feature_extractor import NORMALISE_EPS, receptive_field
from d2v_sb.presets import SAMPLE_RATE
from d2v_sb.pretraining.audio import read_crop

BLOCK = 60 * SAMPLE_RATE  # samples that are read at a time for statistics


def stream_words(asr, path, chunk_seconds=30.0, context_seconds=4.0):
    """Words of a file with their times, while it is being heard.

    Memory follows the chunk, not the file. A chunk's frames are computed with
    so much context on either side, and the waveform is normalised by the
    statistics of the whole file, so a file that fits into one chunk gives
    exactly what ``transcribe_file`` gives.

    Arguments
    ---------
    asr : EncoderASR
        Of a CTC inference folder of ours; decoded greedily, whatever the
        folder searches with.
    path : str
        Any file that libsndfile reads.
    chunk_seconds : float
        Audio that is heard at a time, context left out. With the context it
        is best about as long as what the model was trained on.
    context_seconds : float
        Audio that is heard besides, before and after.

    Yields
    ------
    Word
        When it is complete.

    Raises
    ------
    UserError
        If the lengths make no sense, or the model's outputs depend on the
        whole file.
    DataError
        If the file can not be read.

    Example
    -------
    >>> import soundfile
    >>> from speechbrain.inference.ASR import EncoderASR
    >>> from speechbrain.nnet.linear import Linear
    >>> from d2v_sb.inference import export_ctc
    >>> from d2v_sb.lobes import CTCModel, Data2VecAudio
    >>> from d2v_sb.tokens import Letters
    >>> folder = getfixture("tmp_path")
    >>> head = Linear(input_size=128, n_neurons=3)
    >>> model = CTCModel(Data2VecAudio("tiny"), head)
    >>> export_ctc(folder / "inference", model, Letters(" A"))
    >>> asr = EncoderASR.from_hparams(source=str(folder / "inference"))
    >>> soundfile.write(folder / "a.wav", torch.rand(8000), 16000)
    >>> words = stream_words(asr, str(folder / "a.wav"), chunk_seconds=0.2)
    >>> all(0 <= word.start < word.end <= 0.5 for word in words)
    True
    """
    model = asr.mods.encoder
    builder = WordBuilder(
        label_texts(asr.tokenizer), model.encoder.config.conv_feature_layers
    )
    path_of_labels = GreedyPath(builder, model.blank_index)
    for block in stream_log_probs(model, path, chunk_seconds, context_seconds):
        yield from path_of_labels.add(*block.max(dim=-1))
    yield from path_of_labels.finish()


@torch.no_grad()
def stream_log_probs(model, path, chunk_seconds=30.0, context_seconds=4.0):
    """Log-probabilities of a file, chunk by chunk.

    Arguments
    ---------
    model : CTCModel
        In eval mode.
    path, chunk_seconds, context_seconds
        As of ``stream_words``.

    Yields
    ------
    torch.Tensor
        (T, V) on the CPU; all together have the frames of the whole file.

    Raises
    ------
    UserError, DataError
        As ``stream_words``.
    """
    encoder = model.encoder
    layers = encoder.config.conv_feature_layers
    hop = math.prod(stride for _, _, stride in layers)
    chunk = int(chunk_seconds * SAMPLE_RATE) // hop
    context = int(context_seconds * SAMPLE_RATE) // hop
    if chunk < 1 or context < 0:
        raise UserError(
            f"chunk_seconds={chunk_seconds} and context_seconds="
            f"{context_seconds}: a chunk has at least {hop / SAMPLE_RATE} s, "
            "and context is not negative"
        )
    if encoder.output_norm:
        raise UserError(
            "this model normalises its output over the whole file "
            "(output_norm): it can not be heard in chunks"
        )
    num_samples, mean, scale = _statistics(path)
    total = encoder.num_frames(num_samples)
    if total < 1:
        raise DataError(f"{path} is shorter than a frame of the encoder")
    device = next(model.parameters()).device
    for begin in range(0, total, chunk):
        end = min(total, begin + chunk)
        left, right = max(0, begin - context), min(total, end + context)
        wanted = (right - 1 - left) * hop + receptive_field(layers)
        if right == total:
            wanted = num_samples - left * hop  # what is left makes no frame
        wav = read_crop(path, left * hop, wanted)
        if encoder.config.normalize:
            wav = (wav - mean) * scale
        frames = encoder.feature_extractor(wav[None].to(device))
        states = encoder.contextualize(encoder.project(frames))
        logits = model.head(states.last_hidden_state)[0]
        yield logits[begin - left : end - left].log_softmax(-1).float().cpu()


def _statistics(path):
    """Samples at 16 kHz, their mean, and what makes their variance one."""
    try:
        info = soundfile.info(path)
    except (soundfile.SoundFileError, OSError) as error:
        raise DataError(f"{path} can not be read as audio: {error}") from error
    num_samples = info.frames * SAMPLE_RATE // info.samplerate
    total = squares = 0.0
    for start in range(0, num_samples, BLOCK):
        wav = read_crop(path, start, min(BLOCK, num_samples - start)).double()
        total += wav.sum().item()
        squares += wav.square().sum().item()
    mean = total / max(1, num_samples)
    variance = squares / max(1, num_samples) - mean**2
    return num_samples, mean, (max(0.0, variance) + NORMALISE_EPS) ** -0.5
