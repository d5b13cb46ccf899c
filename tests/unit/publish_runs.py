"""A small recognition run and what publishes it, for tests.

Authors
 * The d2v_sb developers 2026
"""

import json
import re

import torch
from click.testing import CliRunner
from speechbrain.nnet.linear import Linear

from d2v_sb.cli.publish import publish as command
from d2v_sb.inference import export_ctc
from d2v_sb.lobes import CTCModel, Data2VecAudio
from d2v_sb.tokens import Letters

LETTERS = Letters(" 'ABCDEFGH")
HPARAMS = """\
# Generated 2026-11-25 from:
# /home/me/hparams/d2v_ctc.yaml
seed: 7
data_folder: /home/me/corpora/mini
output_folder: /home/me/results/run
train_splits: [train-clean-5]
encoder: {encoder}
number_of_updates: 40
batch_seconds: 16
lr: 1e-3
lm_path: /home/me/a.arpa
protocol:
"""
WER = "%WER 27.04 [ 209 / 773, 6 ins, 28 del, 175 sub ]\n"
CER = "%WER 12.90 [ 331 / 2565, 68 ins, 129 del, 134 sub ]\n"
REST = "Scored 130 sentences, 0 not present in hyp.\n"
COMMAND = (
    "python3.11 /home/me/d2v_sb/recipes/LibriSpeech/train.py "
    "/home/me/hparams/d2v_ctc.yaml --data_folder /home/me/corpora/mini "
    "--output_folder /home/me/results/run --encoder d2v_sb/small --seed 7 "
    "--train_splits '[train-clean-5, /home/me/x]' --device cpu"
)
VERSIONS = {
    "python": "3.11.7",
    "torch": "2.13.0",
    "torchaudio": None,
    "speechbrain": "1.1.2",
    "d2v_sb": "0.1.0",
    "commit": "c259c3b",
    "command": COMMAND,
    "begun": "2026-11-25T10:00:00",
}
TABLE = """\
corpus,model,decoding,wer,cer,utterances,seed
AN4,small,greedy,27.04,12.90,130,7
AN4,small,greedy,25.87,12.98,130,8
AN4,small,beam,18.37,10.14,130,7
AN4,tiny,greedy,62.61,35.75,130,7
"""


def ctc_model(seed=0, **options):
    """A small random model whose texts are long and differ."""
    torch.manual_seed(seed)
    encoder = Data2VecAudio("tiny", encoder_layers=1, **options)
    with torch.no_grad():
        encoder.encoder.layers[-1].final_layer_norm.weight.mul_(2)
    model = CTCModel(encoder, Linear(input_size=128, n_neurons=len(LETTERS)))
    return model.eval()


def call(*words):
    """The command in this process; what a user can mend comes out."""
    runner = CliRunner(catch_exceptions=False)
    return runner.invoke(command, [str(word) for word in words])


def python_blocks(card):
    """The Python of a card."""
    return re.findall(r"```python\n(.*?)```", card, re.DOTALL)


def contents(folder):
    """Bytes by name."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def make_run(folder, encoder="d2v_sb/small"):
    """The output folder of a recognition run."""
    export_ctc(folder / "inference", ctc_model(), LETTERS)
    text = HPARAMS.format(encoder=encoder)
    (folder / "hyperparams.yaml").write_text(text)
    (folder / "versions.json").write_text(json.dumps(VERSIONS))
    (folder / "wer_test-clean.txt").write_text(WER + REST)
    (folder / "cer_test-clean.txt").write_text(CER + REST)
    (folder / "wer_test-clean_lm.txt").write_text(WER + REST)
    return folder
