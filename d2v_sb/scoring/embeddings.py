"""Embeddings of audio files, computed once and kept on the disk.

Authors
 * The d2v_sb developers 2026
"""

import hashlib
import time
from multiprocessing.pool import ThreadPool
from pathlib import Path

import torch
from speechbrain.utils.data_utils import batch_pad_right
from speechbrain.utils.logger import get_logger

from d2v_sb.atomic import remove_left_overs
from d2v_sb.audio_files import NUM_WORKERS, SHOWN, check_audio
from d2v_sb.dataio import read_audio
from d2v_sb.errors import DataError, UserError
from d2v_sb.journal import stamp
from d2v_sb.progress import Progress
from d2v_sb.scoring.embedding_cache import EmbeddingCache

logger = get_logger(__name__)

BATCH_SECONDS = 200.0
INTERVAL = 60.0  # seconds of work that a kill may lose
# Writing a cache of a million clips takes seconds: it may take this share of
# the time, no more.
SAVING_SHARE = 0.05
BLOCK = 1 << 24  # bytes


def embed(
    model,
    files,
    cache_path,
    identity,
    batch_seconds=BATCH_SECONDS,
    name="embedding clips",
):
    """Embeddings of audio files, of which a cache holds those made before.

    A file that is in the cache is not opened, unless its size or its time of
    change is another. Clips of other calls stay in the cache.

    Arguments
    ---------
    model : EncoderClassifier or SpeakerRecognition
        Of SpeechBrain; its ``encode_batch`` takes waveforms (B, N) and their
        relative lengths (B,) and gives (B, 1, C).
    files : dict of str to (str or pathlib.Path)
        Paths of audio by the clips' keys.
    cache_path : str or pathlib.Path
        The cache, a safetensors file.
    identity : str
        Of the model, such as ``folder_identity`` gives. A cache of another
        model is not used and is overwritten.
    batch_seconds : float
        Most seconds of audio in a batch, padding included; a longer clip is
        a batch alone.
    name : str
        What the progress is of.

    Returns
    -------
    dict of str to torch.Tensor
        Embeddings (C,), float32, on the CPU, by key, in the order of files.

    Raises
    ------
    DataError
        If files can not be read, are too short or damaged, or their
        embeddings are not finite; all of them are named. What was computed
        until then stays in the cache.
    UserError
        If ``batch_seconds`` is not positive.

    Example
    -------
    >>> import soundfile
    >>> class Loudness:
    ...     def encode_batch(self, wavs, wav_lens):
    ...         return wavs.square().mean(dim=1)[:, None, None]
    >>> folder = getfixture("tmp_path")
    >>> soundfile.write(folder / "a.wav", [0.5] * 800, 16000)
    >>> files, cache = {"a": folder / "a.wav"}, folder / "cache.safetensors"
    >>> embed(Loudness(), files, cache, "loudness")
    {'a': tensor([0.25...])}
    """
    if not batch_seconds > 0:
        raise UserError(f"batch_seconds must be positive, got {batch_seconds}")
    cache = EmbeddingCache(cache_path, identity)
    # Before the files are opened: they may change while they are.
    stamps = {key: stamp(path) for key, path in files.items()}
    todo = [key for key in files if not cache.knows(key, stamps[key])]
    if todo:
        if len(todo) < len(files):
            known = len(files) - len(todo)
            logger.info(f"{name}: {known} of {len(files)} are in {cache_path}")
        remove_left_overs(cache.path.parent, cache.path.name)
        durations = _durations({key: files[key] for key in todo})
        batches = plan_batches(durations, batch_seconds)
        _compute(model, files, stamps, batches, cache, name)
    return {key: cache[key] for key in files}


def plan_batches(durations, batch_seconds):
    """Clips of similar length together, the longest first.

    Longest first, so that what does not fit into memory fails at once.

    Arguments
    ---------
    durations : dict of str to float
        Seconds by key.
    batch_seconds : float
        Most seconds in a batch, padding included; a longer clip is alone.

    Returns
    -------
    list of list of str
        Keys.

    Example
    -------
    >>> plan_batches({"a": 2.0, "b": 9.0, "c": 3.0, "d": 1.0}, 6.0)
    [['b'], ['c', 'a'], ['d']]
    """
    batches = []
    for key in sorted(durations, key=durations.get, reverse=True):
        if batches:
            batch = batches[-1]
            if durations[batch[0]] * (len(batch) + 1) <= batch_seconds:
                batch.append(key)
                continue
        batches.append([key])
    return batches


def folder_identity(folder):
    """SHA-256 over ``hyperparams.yaml`` and the ``.ckpt`` files of a model.

    Arguments
    ---------
    folder : str or pathlib.Path
        What SpeechBrain's ``from_hparams`` takes as source.

    Returns
    -------
    str
        64 hexadecimal digits, the same wherever the folder lies.

    Raises
    ------
    UserError
        If these files are not there.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> _ = (folder / "hyperparams.yaml").write_text("a: 1")
    >>> _ = (folder / "model.ckpt").write_text("weights")
    >>> len(folder_identity(folder))
    64
    """
    folder = Path(folder)
    weights = sorted(folder.glob("*.ckpt"))
    paths = [folder / "hyperparams.yaml", *weights]
    if not weights or not paths[0].is_file():
        raise UserError(
            f"{folder} is no model folder: it needs hyperparams.yaml and the "
            "weights in .ckpt files, as the inference folder of a recipe has"
        )
    digest = hashlib.sha256()
    for path in paths:
        content = hashlib.sha256()
        with open(path, "rb") as stream:
            while block := stream.read(BLOCK):
                content.update(block)
        digest.update(f"{path.name}\0{content.hexdigest()}\n".encode())
    return digest.hexdigest()


def _durations(files):
    """Seconds by key; faults of all files in one error."""
    durations, faults, _ = check_audio(
        list(files.items()), on_bad_audio="convert", name="looking at clips"
    )
    _raise_if_any(
        [f"{fault.where}: {fault.reason}" for fault in faults], len(files)
    )
    return durations


def _compute(model, files, stamps, batches, cache, name):
    """Fills the cache, and saves it now and then and however this ends."""
    faults, total = [], sum(map(len, batches))
    due = time.monotonic() + INTERVAL

    def read(key):
        try:
            return read_audio(str(files[key]), convert=True)
        except DataError as error:  # damaged in the middle, past its header
            return error

    with ThreadPool(NUM_WORKERS) as pool, Progress(name, total) as progress:
        try:
            coming = pool.map_async(read, batches[0])
            for batch, following in zip(batches, [*batches[1:], []]):
                wavs = dict(zip(batch, coming.get()))
                # Read while the model is at work on this batch.
                coming = pool.map_async(read, following)
                for key, row in _encode(model, wavs).items():
                    if isinstance(row, DataError):
                        faults.append(str(row))
                    elif row.isfinite().all():
                        cache.add(key, stamps[key], row)
                    else:
                        faults.append(
                            f"{files[key]}: its embedding is not finite"
                        )
                    progress.update()
                if time.monotonic() >= due:
                    begin = time.monotonic()
                    cache.save()
                    end = time.monotonic()
                    due = end + max(INTERVAL, (end - begin) / SAVING_SHARE)
        finally:
            cache.save()
    _raise_if_any(faults, total)


def _encode(model, wavs):
    """Embeddings in the place of the waveforms; errors stay."""
    keys = [key for key, wav in wavs.items() if torch.is_tensor(wav)]
    if not keys:
        return wavs
    padded, wav_lens = batch_pad_right([wavs[key] for key in keys])
    with torch.no_grad():
        rows = model.encode_batch(padded, wav_lens).squeeze(1).float().cpu()
    return {**wavs, **dict(zip(keys, rows))}


def _raise_if_any(faults, total):
    if not faults:
        return
    lines = [f"{len(faults)} of {total} clips can not be embedded:"]
    lines += [f"  {fault}" for fault in faults[:SHOWN]]
    if len(faults) > SHOWN:
        lines.append(f"  ... and {len(faults) - SHOWN} more")
    lines.append(
        "Mend them or fetch them again; where embeddings of sound clips are "
        "not finite, the model is broken."
    )
    raise DataError("\n".join(lines))
