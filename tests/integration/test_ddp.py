"""Two processes train together although LayerDrop drops other blocks in each.

Without ``find_unused_parameters`` every trainable parameter has to be part of
the graph in every step, or DDP stops or hangs.

Authors
 * The d2v_sb developers 2026
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

REPO = Path(__file__).resolve().parents[2]
TIMEOUT = 100  # seconds; far more than it takes, so that a hang is an error

CASES = {
    "plain": {},
    "checkpointing": {"checkpoint_activations": True},
    "checkpointing two blocks and the conv stack": {
        "checkpoint_activations": 2,
        "checkpoint_feature_extractor": True,
    },
    "frozen extractor": {"freeze_feature_extractor": True},
    "frozen layers": {"freeze_layers": 1},
}

# One start of Python for all cases: importing torch takes longest.
WORKER = """
import json, os, sys
import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

from d2v_sb.lobes import Data2VecAudio, transformer
from d2v_sb.masking import FeatureMasking

folder, cases = sys.argv[1], json.loads(sys.argv[2])
rank = int(os.environ["RANK"])
torch.set_num_threads(1)
dist.init_process_group(
    "gloo", init_method=f"file://{folder}/init", rank=rank, world_size=2
)


def train(options, drops=None, steps=5):
    torch.manual_seed(0)
    masking = FeatureMasking()
    encoder = Data2VecAudio(
        "tiny", encoder_layers=3, encoder_layerdrop=0.5, masking=masking,
        **options,
    )
    chosen = []
    own = encoder.encoder._drops

    def choose(layer):
        drop = own(layer) if drops is None else drops(encoder, layer)
        chosen.append(drop)
        return drop

    encoder.encoder._drops = choose
    model = DistributedDataParallel(encoder)
    model.train()
    learning = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(learning, lr=1e-2)
    before = flat(learning)
    torch.manual_seed(100 + rank)
    for step in range(steps):
        masking.reseed(1, step)
        # Other lengths in each process, with and without padding.
        wavs = torch.randn(2, 8000 + 1000 * rank)
        lens = torch.tensor([1.0, 1.0 if step % 2 else 0.6])
        optimizer.zero_grad()
        model(wavs, lens).square().mean().backward()
        optimizer.step()
    return chosen, flat(learning), not torch.equal(before, flat(learning))


def flat(parameters):
    return torch.cat([p.detach().flatten() for p in parameters])


def gathered(tensor):
    both = [torch.empty_like(tensor) for _ in range(2)]
    dist.all_gather(both, tensor)
    return both


out = {}
for name, options in cases.items():
    chosen, weights, moved = train(options)
    one, two = gathered(weights)
    here, there = gathered(torch.tensor(chosen).int())
    out[name] = {
        "identical": torch.equal(one, two),
        "moved": moved,
        "drops_differ": not torch.equal(here, there),
        "dropped": int(here.sum()),
    }


class Skip:
    apply = staticmethod(lambda x, *parameters: x)


# Last: afterwards the processes no longer agree on what comes next.
transformer._Attach = Skip
try:
    train({}, lambda encoder, layer: layer is encoder.encoder.layers[rank])
    out["skipped"] = None
except RuntimeError as error:
    out["skipped"] = str(error)
with open(f"{folder}/{rank}.json", "w") as file:
    json.dump(out, file)
# Without the clean-up, which waits for the other process.
os._exit(0)
"""


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """What each of two processes reports of all cases."""
    folder = tmp_path_factory.mktemp("ddp")
    script = folder / "worker.py"
    script.write_text(WORKER)
    paths = [str(REPO), os.environ.get("PYTHONPATH", "")]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "OMP_NUM_THREADS": "1",
        "WORLD_SIZE": "2",
    }
    workers = [
        subprocess.Popen(
            [sys.executable, str(script), str(folder), json.dumps(CASES)],
            env={**environment, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(2)
    ]
    try:
        outputs = [w.communicate(timeout=TIMEOUT)[0] for w in workers]
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
    files = [folder / f"{rank}.json" for rank in range(2)]
    assert all(file.is_file() for file in files), "\n".join(outputs)
    return [json.loads(file.read_text()) for file in files]


@pytest.mark.parametrize("case", CASES)
def test_layerdrop_trains_without_searching_unused_parameters(outcomes, case):
    for outcome in outcomes:
        assert outcome[case]["identical"]
        assert outcome[case]["moved"]
        # Or nothing was tested.
        assert outcome[case]["drops_differ"]
        assert outcome[case]["dropped"] > 0


def test_skipping_a_block_outright_would_stop_ddp(outcomes):
    for outcome in outcomes:
        assert outcome["skipped"] is not None
        assert "Expected to have finished reduction" in outcome["skipped"]
