"""An encoder of ours and Transformers', with the same weights and inputs.

Authors
 * The d2v_sb developers 2026
"""

import sys

import torch
from transformers import Data2VecAudioModel
from transformers.utils import logging

from d2v_sb.checkpoints import save_hf
from d2v_sb.checkpoints.record import Checkpoint
from d2v_sb.lobes import Data2VecAudio
from d2v_sb.lobes.feature_extractor import normalise_waveform
from d2v_sb.presets import SAMPLE_RATE

logging.set_verbosity_error()
logging.disable_progress_bar()

PEER = "Transformers sdpa"
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
TOLERANCE = 1e-4  # of states in float32, which have a deviation of about 1
PERTURBATION = 0.05  # of norms and biases, which begin as ones and zeros


def add_model_options(parser):
    """What both are, and what they hear.

    Arguments
    ---------
    parser : argparse.ArgumentParser
        Of a script.
    """
    parser.add_argument(
        "--encoder", default="large", choices=("tiny", "base", "large")
    )
    parser.add_argument("--seconds", type=float, default=5.0, help="longest")
    parser.add_argument("--precision", default="fp32", choices=DTYPES)
    parser.add_argument(
        "--memory", action="store_true", help="peaks of memory, not times"
    )


def write_weights(folder, arguments):
    """Random weights in Transformers' format, which both read.

    Arguments
    ---------
    folder : str
        Where to.
    arguments : argparse.Namespace
        With what ``add_model_options`` added.
    """
    encoder = Data2VecAudio(arguments.encoder)
    with torch.no_grad():
        for parameter in encoder.parameters():
            if parameter.dim() == 1:
                parameter.add_(torch.randn_like(parameter), alpha=PERTURBATION)
    weights = dict(encoder.state_dict())
    weights.pop("_extra_state")
    save_hf(Checkpoint(folder, "random", encoder.config, weights), folder)


def read_ours(folder, arguments, dropout=0.1):
    """Our encoder.

    Arguments
    ---------
    folder : str
        Of ``write_weights``.
    arguments : argparse.Namespace
        As there.
    dropout : float
        Of residuals and attention.

    Returns
    -------
    Data2VecAudio
    """
    return Data2VecAudio(
        folder,
        dropout=dropout,
        attention_dropout=dropout,
        encoder_layerdrop=0.0,
    ).to(arguments.device)


def read_theirs(folder, arguments, dropout=0.1):
    """Transformers' model.

    Arguments
    ---------
    folder, arguments, dropout
        As of ``read_ours``.

    Returns
    -------
    transformers.Data2VecAudioModel
    """
    return Data2VecAudioModel.from_pretrained(
        folder,
        attn_implementation="sdpa",
        hidden_dropout=dropout,
        attention_dropout=dropout,
        activation_dropout=0.0,
        feat_proj_dropout=0.0,
        layerdrop=0.0,
        mask_time_prob=0.0,
    ).to(arguments.device)


class Inputs:
    """A batch of noise of several lengths, for both.

    Arguments
    ---------
    arguments : argparse.Namespace
        With what ``add_model_options`` added.
    shares : list of float
        Lengths over the longest.
    """

    def __init__(self, arguments, shares):
        torch.manual_seed(1)
        N = round(arguments.seconds * SAMPLE_RATE)
        self.num_samples = torch.tensor([round(s * N) for s in shares])
        real = torch.arange(N) < self.num_samples[:, None]
        self.wavs = torch.randn(len(shares), N) * real
        self.wav_lens = self.num_samples / N
        # Theirs is made by a feature extractor with another epsilon than
        # fairseq's, which differs by 5e-3 in states; so it is given ours.
        self.values = normalise_waveform(self.wavs, self.num_samples)
        self.mask = None if real.all() else real.long()
        for name in ("wavs", "values", "mask"):
            if getattr(self, name) is not None:
                setattr(self, name, getattr(self, name).to(arguments.device))

    def __str__(self):
        seconds = self.num_samples / SAMPLE_RATE
        return ", ".join(f"{s:g}" for s in seconds.tolist()) + " s"

    def ours(self, encoder):
        """States of our encoder."""
        return encoder(self.wavs, self.wav_lens)

    def theirs(self, model):
        """States of Transformers'."""
        values = self.values.to(model.dtype)
        return model(values, attention_mask=self.mask).last_hidden_state


@torch.no_grad()
def compare(ours, theirs, inputs):
    """Ends the program where states of both differ in float32.

    Our default gives each of a padded batch what it gets alone, and
    theirs does not. So it is compared to theirs clip by clip, and, as it is
    with ``padding="fairseq"``, to theirs of the batch.

    Arguments
    ---------
    ours : Data2VecAudio
        In float32.
    theirs : transformers.Data2VecAudioModel
        In float32.
    inputs : Inputs

    Returns
    -------
    float
        The largest difference.
    """
    ours.eval()
    theirs.eval()
    found = inputs.ours(ours)
    worst = 0.0
    for row, values, n in zip(
        found, inputs.values, inputs.num_samples.tolist(), strict=True
    ):
        (alone,) = theirs(values[None, :n]).last_hidden_state
        worst = max(worst, (row[: len(alone)] - alone).abs().max().item())
    print(f"states differ by {worst:.1e} from theirs of each clip alone")
    if inputs.mask is not None:
        ours.encoder.positions.padding = "fairseq"
        found, expected = inputs.ours(ours), inputs.theirs(theirs)
        ours.encoder.positions.padding = "exact"
        valid = ~ours.padding_mask(inputs.wavs, inputs.wav_lens)
        batch = (found - expected)[valid].abs().max().item()
        print(f"states differ by {batch:.1e} from theirs of the padded batch")
        worst = max(worst, batch)
    if not worst < TOLERANCE:
        sys.exit(f"more than {TOLERANCE}: they do not compute the same")
    return worst
