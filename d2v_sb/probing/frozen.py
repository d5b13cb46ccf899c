"""An encoder that nothing trains.

Authors
 * The d2v_sb developers 2026
"""

import contextlib
import dataclasses
import hashlib
import math

import torch

from d2v_sb.errors import UserError
from d2v_sb.lobes import Data2VecAudio
from d2v_sb.presets import SAMPLE_RATE
from d2v_sb.probing.modes import MODES


class FrozenEncoder:
    """An encoder that nothing trains, and its two views.

    Arguments
    ---------
    source : str or EncoderConfig
        As ``Data2VecAudio``'s.
    mode : str
        A key of ``MODES``.
    save_path : str, optional
        Folder in which weights from the hub are kept.
    weights : str
        "student", or "teacher" of a pretraining run.
    precision : str
        "fp32", or "bf16" or "fp16" by autocast.

    Raises
    ------
    UserError
        If there is no such mode.

    Example
    -------
    >>> encoder = FrozenEncoder("tiny", "clean")
    >>> (kept,) = encoder.test_view.keep([torch.rand(16000)], 16000)
    >>> kept.shape
    torch.Size([49, 3, 128])
    """

    def __init__(
        self,
        source,
        mode,
        save_path=None,
        weights="student",
        precision="fp32",
    ):
        if mode not in MODES:
            raise UserError(f"--mode {mode}: it is one of {', '.join(MODES)}")
        self.mode, self.precision = mode, precision
        self.device = torch.device("cpu")
        self._identity = None  # a second for each gigabyte
        training, testing = MODES[mode]
        self.lobe = Data2VecAudio(
            source,
            save_path or None,
            output_all_hiddens=True,
            weights=weights,
            padding=training.padding,
        )
        for parameter in self.lobe.parameters():
            parameter.requires_grad_(False)
        self.lobe.eval()
        if not training.normalises:
            config = dataclasses.replace(self.lobe.config, normalize=False)
            self.lobe.config = config
        self.training_view, self.test_view = training(self), testing(self)

    def to(self, device):
        """Where it runs from now on."""
        self.device = torch.device(device)
        self.lobe.to(self.device)

    @property
    def pads_exactly(self):
        """Whether heads are told which frames are padding."""
        return self.test_view.pads_exactly

    @property
    def draws_chunks(self):
        """Whether training may hear another stretch of a file each time."""
        return self.training_view.draws_chunks

    @property
    def num_layers(self):
        """Of states: the first block's input and each block's output."""
        return self.lobe.config.encoder_layers + 1

    @property
    def width(self):
        """Of a state."""
        return self.lobe.output_size

    def num_frames(self, num_samples):
        """Frames of a waveform."""
        return self.lobe.num_frames(num_samples)

    def identity(self):
        """Hash of architecture and weights."""
        if self._identity is None:
            self._identity = self._hash()
        return self._identity

    def _hash(self):
        digest = hashlib.sha256(self.lobe.config.to_json().encode())
        for name, tensor in sorted(self.lobe.state_dict().items()):
            if name.endswith("_extra_state"):
                continue
            digest.update(name.encode())
            digest.update(tensor.cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()[:16]

    @contextlib.contextmanager
    def running(self):
        """Without gradients, in the precision that was asked for."""
        dtype = {"bf16": torch.bfloat16, "fp16": torch.float16}
        kind = self.device.type
        with (
            torch.no_grad(),
            torch.autocast(
                kind,
                dtype.get(self.precision),
                enabled=self.precision in dtype,
            ),
        ):
            yield

    @property
    def frame_rate(self):
        """Frames of a second."""
        hop = math.prod(s for *_, s in self.lobe.config.conv_feature_layers)
        return SAMPLE_RATE / hop

    def padded(self, wavs, longest):
        """Waveforms as a batch (B, `longest`) on the device."""
        batch = torch.zeros(len(wavs), longest)
        for row, wav in zip(batch, wavs, strict=True):
            row[: len(wav)] = wav
        return batch.to(self.device, non_blocking=True)
