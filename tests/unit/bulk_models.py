"""Small model folders and a folder of audio in many formats, for tests of the
commands.

Authors
 * The d2v_sb developers 2026
"""

import av
import numpy as np
import soundfile
import torch
from click.testing import CliRunner
from speechbrain.inference.speaker import SpeakerRecognition
from speechbrain.nnet.linear import Linear
from torchaudio.functional import resample

from d2v_sb.classification_folder import export_classifier
from d2v_sb.cli import main
from d2v_sb.inference import export_ctc, export_joint
from d2v_sb.lobes import (
    AttentionDecoder,
    CTCModel,
    Data2VecAudio,
    JointModel,
    SpeechEncoder,
    UtteranceClassifier,
    UtteranceEncoder,
    WeightedData2Vec,
    make_head,
)
from d2v_sb.tokens import Letters, Subwords
from d2v_sb.utterances import Labels

# What can be heard of `write_formats`.
GOOD = [
    "a.flac",
    "b.ogg",
    "c.mp3",
    "d.wav",
    "f.m4a",
    "long.flac",
    "sub/e e.wav",
]


def call(*words):
    """Runs the command; an exception of its own comes out as it is."""
    runner = CliRunner(catch_exceptions=False)
    return runner.invoke(main, [str(word) for word in words])


def refused(*words):
    """What the command says where it ends as users should see it end."""
    result = call(*words)
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: "), result.stderr
    return result.stderr


def ctc_folder(folder, letters=" AB", **options):
    """A CTC model of random weights that says something."""
    torch.manual_seed(0)
    head = Linear(input_size=128, n_neurons=len(letters) + 1)
    # Large outputs: no two labels are so near that rounding decides.
    torch.nn.init.normal_(head.w.weight, std=2.0)
    model = CTCModel(Data2VecAudio("tiny", **options), head).eval()
    export_ctc(folder, model, Letters(letters))
    return folder


def joint_folder(folder):
    """A model of CTC and attention, of random weights."""
    torch.manual_seed(0)
    said = ["ONE TWO THREE", "TOO TREE NOT"] * 9
    csv = folder.with_name("said.csv")
    rows = [f"{i},{words}" for i, words in enumerate(said)]
    csv.write_text("\n".join(["ID,wrd", *rows]) + "\n")
    subwords = Subwords(csv, folder.parent, 14, "bpe", bos_index=1, eos_index=2)
    heads = [Linear(input_size=32, n_neurons=14) for _ in range(2)]
    for head in heads:
        torch.nn.init.normal_(head.w.weight, std=2.0)
    encoder = SpeechEncoder(Data2VecAudio("tiny"), 32)
    decoder = AttentionDecoder(14, 32, num_layers=1)
    model = JointModel(encoder, heads[0], decoder, heads[1]).eval()
    search = {
        "bos_index": 1,
        "eos_index": 2,
        "blank_index": 0,
        "beam_size": 2,
        "ctc_weight_decode": 0.4,
        "temperature": 1.0,
        "max_decode_ratio": 0.2,
        "length_normalization": True,
    }
    export_joint(folder, model, subwords, search)
    return folder


def speech_like(seconds, rate=16000, seed=0):
    """Noise that gets louder and softer; nothing above 3 kHz, so that each
    sample rate holds all of it."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(int(seconds * 6000), generator=generator)
    wav = resample(noise, 6000, rate)
    t = torch.arange(len(wav)) / rate
    return (0.1 * wav * (1 + torch.sin(5 * t))).numpy()


def write_formats(folder):
    """One recording in many formats, and files that are none."""
    (folder / "sub").mkdir(parents=True)
    wav = speech_like(2.0)
    soundfile.write(folder / "a.flac", wav, 16000)
    soundfile.write(folder / "b.ogg", wav, 16000)
    soundfile.write(folder / "c.mp3", wav, 16000, format="MP3")
    soundfile.write(folder / "d.wav", speech_like(2.0, 8000), 8000)
    wide = speech_like(2.0, 44100)
    soundfile.write(folder / "sub/e e.wav", np.stack([wide] * 2, 1), 44100)
    write_m4a(folder / "f.m4a", wide, 44100)
    soundfile.write(folder / "long.flac", speech_like(7.3, seed=1), 16000)
    good = (folder / "a.flac").read_bytes()
    (folder / "broken.flac").write_bytes(good[: len(good) // 2])
    (folder / "empty.wav").touch()
    return folder


def write_m4a(path, wav, rate):
    """A waveform as AAC."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=rate)
        stream.layout = "mono"
        array = np.ascontiguousarray(wav[None], dtype=np.float32)
        frame = av.AudioFrame.from_ndarray(array, "fltp", "mono")
        frame.sample_rate = rate
        size = stream.codec_context.frame_size or 1024
        resampler = av.AudioResampler("fltp", "mono", rate, frame_size=size)
        for part in resampler.resample(frame) + resampler.resample(None):
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))


def classifier_folder(folder, classes=("ang", "hap", "sad")):
    """A classifier of random weights on the small encoder, and SpeechBrain's
    interface of it."""
    torch.manual_seed(0)
    head = make_head("statistics", 128, 16)
    front_end = WeightedData2Vec("d2v_sb/small")
    torch.nn.init.normal_(front_end.weights)
    output = Linear(input_size=16, n_neurons=len(classes))
    torch.nn.init.normal_(output.w.weight, std=2.0)
    model = UtteranceClassifier(UtteranceEncoder(front_end, head), output)
    folder.parent.mkdir(parents=True, exist_ok=True)
    csv = folder.with_name("train.csv")
    rows = [f"{i},{name}" for i, name in enumerate(classes)]
    csv.write_text("\n".join(["ID,label", *rows]) + "\n")
    export_classifier(folder, model.eval(), Labels(csv, "label"), scale=1.0)
    return folder, SpeakerRecognition.from_hparams(source=str(folder))
