"""Log-mel filter banks in the place of an encoder: what it is compared with.

Authors
 * The d2v_sb developers 2026
"""

import torch
from speechbrain.lobes.features import Fbank
from torch import nn

from d2v_sb.presets import SAMPLE_RATE

HOP = SAMPLE_RATE // 100  # samples from frame to frame


class FilterBank(nn.Module):
    """SpeechBrain's filter banks, less each utterance's mean.

    It can stand wherever ``WeightedData2Vec`` does. Nothing in it learns.

    Arguments
    ---------
    n_mels : int
        Bands.

    Example
    -------
    >>> bank = FilterBank()
    >>> bank(torch.rand(2, 16000), torch.tensor([1.0, 0.5])).shape
    torch.Size([2, 101, 80])
    """

    # As of an encoder, for ``FineTuningBrain``.
    frozen = freeze = True
    masking = None

    def __init__(self, n_mels=80):
        super().__init__()
        self.fbank = Fbank(n_mels=n_mels)
        self.output_size = n_mels

    @property
    def encoder(self):
        """Itself: what ``WeightedData2Vec.encoder`` is there."""
        return self

    def set_num_updates(self, num_updates):
        """Nothing is ever unfrozen."""
        return False

    def forward(self, wav, wav_lens=None):
        """Waveforms (B, N) at 16 kHz to log-mel frames (B, T, n_mels)."""
        num_samples = _num_samples(wav, wav_lens)
        inside = torch.arange(wav.shape[1], device=wav.device)
        wav = wav * (inside < num_samples[:, None].to(wav.device))
        x = self.fbank(wav)
        padding = self.padding_mask(wav, wav_lens)
        if padding is None:
            return x - x.mean(dim=1, keepdim=True)
        valid = ~padding[:, :, None]
        mean = (x * valid).sum(1, keepdim=True) / valid.sum(1, keepdim=True)
        return (x - mean) * valid

    def padding_mask(self, wavs, wav_lens=None):
        """Where frames are padding (B, T), or None."""
        frames = _num_samples(wavs, wav_lens) // HOP + 1
        T = wavs.shape[1] // HOP + 1
        if int(frames.min()) == T:
            return None
        mask = torch.arange(T) >= frames[:, None]
        return mask.to(wavs.device)


def _num_samples(wavs, wav_lens):
    """True lengths, on the host."""
    B, N = wavs.shape
    if wav_lens is None:
        return torch.full((B,), N)
    return (wav_lens.detach().cpu().double() * N).round().long().clamp(max=N)
