"""Words of a greedy path do not depend on the blocks that it comes in.

Authors
 * The d2v_sb developers 2026
"""

import pytest
import torch

from d2v_sb.alignment import WordBuilder, word_times
from d2v_sb.greedy_path import GreedyPath
from d2v_sb.inference import ctc_greedy_decode
from d2v_sb.presets import PRESETS

LAYERS = PRESETS["tiny"].conv_feature_layers
TEXTS = ["<blank>", " ", "A", "B"]


def words_of(log_probs, sizes):
    """Words of frames that come in blocks of such sizes."""
    path, words = GreedyPath(WordBuilder(TEXTS, LAYERS), 0), []
    for block in log_probs.split(sizes):
        words += path.add(*block.max(dim=-1))
    return words + path.finish()


@pytest.mark.parametrize("seed", range(5))
def test_blocks_change_nothing_and_the_path_is_the_alignment(seed):
    """Confidences too, whose best frame may lie on either side of a border."""
    torch.manual_seed(seed)
    # Runs of a label, as models give them.
    best = torch.randint(4, (12,)).repeat_interleave(3)
    log_probs = (4 * torch.eye(4)[best] + torch.rand(36, 4)).log_softmax(-1)
    whole = words_of(log_probs, 36)
    for cut in range(1, 36):
        assert words_of(log_probs, [cut, 36 - cut]) == whole
    assert words_of(log_probs, 1) == whole
    (labels,) = ctc_greedy_decode(log_probs[None], None)
    aligned = word_times(log_probs, labels, TEXTS, LAYERS)
    assert [word[:3] for word in whole] == [word[:3] for word in aligned]
    for ours, theirs in zip(whole, aligned, strict=True):
        assert ours.confidence == pytest.approx(theirs.confidence, rel=1e-6)
