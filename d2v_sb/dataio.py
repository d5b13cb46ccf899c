"""From CSV rows to checked waveforms and labels.

Authors
 * The d2v_sb developers 2026
"""

import logging
from pathlib import Path

import numpy as np
import soundfile
import speechbrain as sb
import torch
from speechbrain.dataio.dataset import DynamicItemDataset
from speechbrain.utils.distributed import if_main_process
from torchaudio.functional import resample

from d2v_sb.atomic import replacing
from d2v_sb.errors import DataError
from d2v_sb.lobes.feature_extractor import num_frames
from d2v_sb.presets import SAMPLE_RATE
from d2v_sb.train_rows import SEPARATOR

logger = logging.getLogger(__name__)
# It warns that a label encoder is filled again each time a checkpoint is read.
logging.getLogger("speechbrain.dataio.encoder").setLevel(logging.ERROR)


def read_audio(path, convert=False):
    """Reads a mono waveform at 16 kHz, or says what is wrong with the file.

    Arguments
    ---------
    path : str
        Any file that libsndfile reads.
    convert : bool
        Mix channels to mono and resample, instead of refusing.

    Returns
    -------
    torch.Tensor
        Waveform (N,), float32. Of one that is silent the log warns.

    Raises
    ------
    DataError
        If the file can not be read, is empty, holds NaN or infinity, or, not
        to be converted, has another sample rate or several channels.

    Example
    -------
    >>> path = str(getfixture("tmp_path") / "a.wav")
    >>> soundfile.write(path, [0.1] * 800, 16000)
    >>> read_audio(path).shape
    torch.Size([800])
    """
    try:
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, OSError) as error:
        raise DataError(f"{path} can not be read as audio: {error}") from error
    num_channels = samples.shape[1]
    if samples.size == 0:
        raise DataError(f"{path} is empty")
    # numpy's checks: torch's take half as long as the decoding.
    if not np.isfinite(samples).all():
        raise DataError(f"{path} holds samples that are NaN or infinite")
    if not convert and (rate != SAMPLE_RATE or num_channels != 1):
        raise DataError(
            f"{path} has {rate} Hz and {num_channels} channel(s); {SAMPLE_RATE}"
            " Hz mono is needed. --on_bad_audio convert resamples and mixes to "
            "mono on reading, drop leaves such files out"
        )
    if not samples.any():
        logger.warning("%s is silent: all of its samples are 0", path)
    wav = torch.from_numpy(samples)
    wav = wav[:, 0] if num_channels == 1 else wav.mean(dim=1)
    return wav if rate == SAMPLE_RATE else resample(wav, rate, SAMPLE_RATE)


def asr_dataset(csv, tokenizer, convert=False):
    """A dataset of waveforms, labels and words.

    Arguments
    ---------
    csv : str
        With ID, duration (s), wav, wrd.
    tokenizer : Letters or Subwords
        The labels.
    convert : bool
        See ``read_audio``.

    Returns
    -------
    DynamicItemDataset
        Items: id, sig (N,), duration, wrd, tokens (long).

    Raises
    ------
    DataError
        If a transcript has letters that no label has.
    """
    if not Path(csv).is_file():
        raise DataError(
            f"there is no {csv}: it is made from the corpus, leave out "
            "--skip_prep"
        )
    dataset = DynamicItemDataset.from_csv(csv)
    _check_letters(dataset, tokenizer, csv)

    @sb.utils.data_pipeline.takes("wav")
    @sb.utils.data_pipeline.provides("sig")
    def audio(wav):
        parts = [read_audio(part, convert) for part in wav.split(SEPARATOR)]
        return torch.cat(parts)

    @sb.utils.data_pipeline.takes("wrd")
    @sb.utils.data_pipeline.provides("tokens")
    def tokens(wrd):
        return torch.LongTensor(tokenizer.encode(wrd))

    dataset.add_dynamic_item(audio)
    dataset.add_dynamic_item(tokens)
    dataset.set_output_keys(["id", "sig", "wrd", "tokens"])
    return dataset


def drop_unalignable(dataset, tokenizer, conv_feature_layers, save_to):
    """Leaves out utterances with fewer frames than CTC needs for their labels.

    CTC needs a frame for each label and one between equal neighbours.

    Arguments
    ---------
    dataset : DynamicItemDataset
        With "duration" in seconds and "wrd".
    tokenizer : Letters or Subwords
        The labels.
    conv_feature_layers : sequence of (channels, kernel, stride)
        The encoder's conv stack.
    save_to : str or pathlib.Path
        Where to list what was left out.

    Returns
    -------
    DynamicItemDataset
        The rest.

    Raises
    ------
    DataError
        If nothing is left.
    """
    path = Path(save_to)
    if if_main_process():
        path.unlink(missing_ok=True)  # of an earlier run
    dropped = set()
    for name in dataset.data_ids:
        row = dataset.data[name]
        labels = tokenizer.encode(row["wrd"])
        repeats = sum(a == b for a, b in zip(labels, labels[1:], strict=False))
        samples = round(row["duration"] * SAMPLE_RATE)
        if num_frames(samples, conv_feature_layers) < len(labels) + repeats:
            dropped.add(name)
    if not dropped:
        return dataset
    if len(dropped) == len(dataset):
        raise DataError("every utterance is too short for its transcript")
    if if_main_process():
        with replacing(path) as beside:
            beside.write_text("\n".join(sorted(dropped)) + "\n")
    logger.warning(
        "%d of %d utterances have fewer frames than CTC needs for their "
        "labels and are not trained on; they are listed in %s",
        len(dropped),
        len(dataset),
        path,
    )
    return dataset.filtered_sorted(
        key_test={"id": lambda name: name not in dropped}
    )


def _check_letters(dataset, tokenizer, csv):
    """All letters without a label at once, each with an utterance."""
    unknown = {}
    for name, row in dataset.data.items():
        for letter in tokenizer.unknown(row["wrd"]):
            unknown.setdefault(letter, name)
    if unknown:
        found = ", ".join(f"{c!r} ({name})" for c, name in unknown.items())
        raise DataError(
            f"{csv}: transcripts have letters that no label has, each with the "
            f"first utterance that has it: {found}. Mend the transcripts, or "
            "add the letters to `alphabet` in the hparams (subwords know those "
            "of the training transcripts)"
        )
