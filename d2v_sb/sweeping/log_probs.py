"""What a model makes of dev, computed once and kept on the disk.

Authors
 * The d2v_sb developers 2026
"""

import hashlib
import json
from pathlib import Path

import numpy as np
import torch
from speechbrain.inference.ASR import EncoderASR

from d2v_sb.alignment import label_texts
from d2v_sb.atomic import replacing
from d2v_sb.dataio import read_audio
from d2v_sb.errors import UserError
from d2v_sb.progress import Progress

INDEX = "index.json"
FRAMES = "frames.f32"  # of all utterances, one after the other
BLOCK = 1 << 24  # bytes


class LogProbs:
    """Log-probabilities of utterances, read from the disk as they are needed.

    Arguments
    ---------
    folder : str or pathlib.Path
        What ``cached_log_probs`` wrote.
    """

    def __init__(self, folder):
        self.folder = Path(folder)
        index = json.loads((self.folder / INDEX).read_text(encoding="utf-8"))
        self.source = index["source"]
        self.labels = index["labels"]
        self.blank_index = index["blank_index"]
        self._places = index["utterances"]
        self._frames = np.memmap(
            self.folder / FRAMES, dtype=np.float32, mode="r"
        ).reshape(-1, len(self.labels))

    def __getitem__(self, name):
        """Of an utterance, as a batch of one (1, T, V)."""
        first, frames = self._places[name]
        rows = self._frames[first : first + frames]
        return torch.from_numpy(np.array(rows))[None]


def cached_log_probs(folder, inference, utterances, convert, device):
    """Those on the disk, or, where model or data are others, new ones.

    Arguments
    ---------
    folder : str or pathlib.Path
        Where they are kept.
    inference : str or pathlib.Path
        The inference folder of a CTC recipe.
    utterances : dict
        Paths of audio by the utterances' names.
    convert : bool
        See ``read_audio``.
    device : str
        Where the model is run.

    Returns
    -------
    LogProbs

    Raises
    ------
    UserError
        If there is no inference folder.
    """
    folder = Path(folder)
    source = _fingerprint(Path(inference), utterances)
    if (folder / INDEX).is_file():
        cached = LogProbs(folder)
        if cached.source == source:
            return cached
    asr = EncoderASR.from_hparams(
        source=str(inference), run_opts={"device": device}
    )
    index = {
        "source": source,
        "labels": label_texts(asr.tokenizer),
        "blank_index": asr.mods.encoder.blank_index,
        "utterances": {},
    }
    done = 0
    with (
        replacing(folder) as beside,
        Progress("hearing dev", len(utterances)) as progress,
    ):
        beside.mkdir()
        with open(beside / FRAMES, "wb") as stream, torch.no_grad():
            for name, path in utterances.items():
                wav = read_audio(path, convert)[None].to(device)
                log_probs = asr.mods.encoder(wav, None)[0].float().cpu()
                stream.write(log_probs.numpy().tobytes())
                index["utterances"][name] = done, len(log_probs)
                done += len(log_probs)
                progress.update()
        (beside / INDEX).write_text(json.dumps(index), encoding="utf-8")
    return LogProbs(folder)


def _fingerprint(inference, utterances):
    """Changes with the weights and with the list of utterances."""
    weights = inference / "model.ckpt"
    if not weights.is_file():
        raise UserError(
            f"there is no {weights}: a sweep takes the output folder of a "
            "recipe that has ended"
        )
    digest = hashlib.sha256(json.dumps(utterances).encode())
    with open(weights, "rb") as stream:
        while block := stream.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()
