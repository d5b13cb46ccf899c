"""Masks have the distribution of fairseq's, and nothing is hidden by mistake.

Generators are seeded, so that the statistics below come out the same in every
run.

Authors
 * The d2v_sb developers 2026
"""

import numpy as np
import pytest
import torch

from d2v_sb.lobes import Data2VecAudio
from d2v_sb.masking import FeatureMasking, sample_span_mask, seeded_generator

# Of 250,000 samples: the crops from which fairseq's shares were recorded.
CROP_FRAMES = 781
SHARES = ((1, 0.490), (4, 0.466), (16, 0.449))


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def runs(row):
    """Lengths of the runs of hidden steps in a row."""
    padded = np.concatenate([[0], np.asarray(row, dtype=int), [0]])
    edges = np.flatnonzero(np.diff(padded))
    return edges[1::2] - edges[::2]


def masks_by_the_rule(num_steps, mask_prob, mask_length, rng, same=False):
    """The rule as published, one row after the other.

    int(p n / length + U(0, 1)) spans, at least one; starts without
    replacement from [0, n - length); with `same`, steps are shown again one
    by one until all rows hide as many as the one that hides fewest.
    """
    rows = []
    for n in num_steps:
        num_spans = max(1, int(mask_prob * n / mask_length + rng.random()))
        hidden = set()
        for start in rng.choice(n - mask_length, num_spans, replace=False):
            hidden.update(range(start, start + mask_length))
        rows.append(sorted(hidden))
    fewest = min(map(len, rows))
    masks = np.zeros((len(rows), max(num_steps)), dtype=bool)
    for mask, row in zip(masks, rows):
        if same:
            row = rng.choice(row, fewest, replace=False)
        mask[row] = True
    return masks


# Shares and distributions


def masked_share(batch_size, num_rows=10_000, **options):
    """Of so many rows, drawn in batches."""
    generator, total = seeded(), 0
    num_batches = num_rows // batch_size
    for _ in range(num_batches):
        mask = sample_span_mask(
            [CROP_FRAMES] * batch_size,
            0.65,
            10,
            generator,
            **{"require_same_masks": True, **options},
        )
        total += mask.float().mean().item()
    return total / num_batches


@pytest.mark.parametrize("batch_size, share", SHARES)
def test_masked_share_is_that_of_fairseq(batch_size, share):
    """Recorded from fairseq's compute_mask_indices, 0.65 and 10."""
    if batch_size == 1:
        # Alone, a row is thinned by nothing: all may be drawn in one batch.
        found = masked_share(10_000, require_same_masks=False)
    else:
        found = masked_share(batch_size)
    assert abs(found - share) < 0.001


def test_masked_share_without_thinning_is_not_fairseqs():
    """That of a row alone, whatever the batch."""
    found = masked_share(16, 1600, require_same_masks=False)
    assert abs(found - SHARES[0][1]) < 0.003
    assert abs(found - SHARES[2][1]) > 0.03


@pytest.mark.parametrize("same", (False, True))
@pytest.mark.parametrize("n", (60, 249))
def test_distribution_is_that_of_the_rule(n, same):
    num_rows = 8000 if n == 60 else 4000
    B = 4
    rng, generator = np.random.default_rng(0), seeded()
    ours, rule = [], []
    if same:
        for _ in range(num_rows // B):
            mask = sample_span_mask(
                [n] * B, 0.65, 10, generator, require_same_masks=True
            )
            ours.extend(mask.numpy())
            rule.extend(masks_by_the_rule([n] * B, 0.65, 10, rng, same=True))
    else:
        ours = sample_span_mask([n] * num_rows, 0.65, 10, generator).numpy()
        rule = masks_by_the_rule([n] * num_rows, 0.65, 10, rng)
    ours, rule = np.stack(ours), np.stack(rule)

    for statistic in (np.mean, np.std):
        a, b = (statistic(m.sum(axis=1) / n) for m in (ours, rule))
        assert abs(a - b) < 0.008, statistic
    # How often each step is hidden: rarely at the edges.
    per_step = np.abs(ours.mean(axis=0) - rule.mean(axis=0))
    assert per_step.max() < 0.055
    # Total variation of the histograms of runs and of counts.
    for values in (
        [np.concatenate([runs(row) for row in m]) for m in (ours, rule)],
        [m.sum(axis=1) // 5 for m in (ours, rule)],
    ):
        a, b = (np.bincount(v, minlength=n + 1) / len(v) for v in values)
        assert 0.5 * np.abs(a - b).sum() < 0.05


def test_comparison_would_notice_another_distribution():
    """Starts up to the last step instead of n - mask_length."""
    rng = np.random.default_rng(0)
    rule = masks_by_the_rule([60] * 4000, 0.65, 10, rng)
    other = masks_by_the_rule([70] * 4000, 0.65 * 60 / 70, 10, rng)[:, :60]
    per_step = np.abs(other.mean(axis=0) - rule.mean(axis=0))
    assert per_step.max() > 0.1
    assert abs(other.mean() - rule.mean()) > 0.01


def test_number_of_spans_is_rounded_at_random():
    # One step long, spans can not overlap: their number is to be seen.
    mask = sample_span_mask([37] * 4000, 0.5, 1, seeded())
    counts = mask.sum(dim=1).float()
    assert set(counts.tolist()) == {18.0, 19.0}
    assert abs(counts.mean() - 18.5) < 0.05


def test_thinning_breaks_spans_and_nothing_else_does():
    """Runs shorter than a span, single frames too: only where a row hid more
    than another."""
    options = [249] * 4, 0.65, 10
    broken = 0
    for seed in range(100):
        free = sample_span_mask(*options, seeded(seed))
        same = sample_span_mask(*options, seeded(seed), require_same_masks=True)
        counts = free.sum(dim=1)
        for row, before, count in zip(same, free, counts):
            assert runs(before).min() >= 10
            if count == counts.min():
                assert torch.equal(row, before)
            else:
                broken += runs(row).min() < 10
    assert broken > 200


def test_thinning_by_spans_would_be_another_distribution():
    """Shares alone do not tell: the runs do."""
    rng = np.random.default_rng(0)
    single, spans = [], []
    for _ in range(300):
        rows = masks_by_the_rule([249] * 4, 0.65, 10, rng)
        fewest = rows.sum(axis=1).min()
        for row in rows:
            hidden = np.flatnonzero(row)
            keep = rng.choice(hidden, fewest, replace=False)
            single.append(np.isin(np.arange(249), keep))
            spans.append(np.isin(np.arange(249), hidden[:fewest]))
    a, b = (
        np.bincount(np.concatenate([runs(row) for row in m]), minlength=250)
        for m in (single, spans)
    )
    assert 0.5 * np.abs(a / a.sum() - b / b.sum()).sum() > 0.3


# What is never hidden


@pytest.mark.parametrize("mask_length", (1, 2, 10))
def test_no_span_is_shorter_than_its_length(mask_length):
    masks = sample_span_mask([249] * 200, 0.65, mask_length, seeded())
    assert min(runs(row).min() for row in masks) == mask_length


@pytest.mark.parametrize("same", (False, True))
def test_padding_is_never_hidden(same):
    num_steps = torch.tensor([300, 299, 100, 40, 12, 3, 1] * 20)
    mask = sample_span_mask(
        num_steps, 0.65, 10, seeded(), require_same_masks=same
    )
    assert mask.shape == (140, 300)
    padding = torch.arange(300) >= num_steps[:, None]
    assert not (mask & padding).any()


@pytest.mark.parametrize("mask_prob", (0.65, 1.0, 5.0))
@pytest.mark.parametrize("min_masks", (0, 1, 2))
def test_no_row_is_hidden_whole(mask_prob, min_masks):
    for n in (*range(1, 31), 100):
        mask = sample_span_mask(
            [n] * 50, mask_prob, 10, seeded(n), min_masks=min_masks
        )
        assert mask.shape == (50, n)
        assert (~mask).any(dim=1).all()
        # Of one step nothing can be hidden, of two one.
        if min_masks:
            assert mask.any(dim=1).all() == (n > 1)


def test_very_short_rows_next_to_long_ones_are_masked():
    num_steps = list(range(1, 16)) + [500]
    for seed in range(50):
        mask = sample_span_mask(num_steps, 0.65, 10, seeded(seed))
        counts = mask.sum(dim=1).tolist()
        assert counts[0] == 0
        pairs = zip(counts[1:], num_steps[1:])
        assert all(0 < count < n for count, n in pairs)


def test_same_masks_hide_equally_many_steps():
    for seed in range(20):
        options = (100, 249, 180), 0.65, 10
        free = sample_span_mask(*options, seeded(seed))
        same = sample_span_mask(*options, seeded(seed), require_same_masks=True)
        counts = same.sum(dim=1)
        assert (counts == free.sum(dim=1).min()).all()
        # Thinned only: nothing is hidden that was not.
        assert not (same & ~free).any()


def test_min_masks_0_may_hide_nothing():
    mask = sample_span_mask([20] * 500, 0.05, 10, seeded(), min_masks=0)
    share = mask.any(dim=1).float().mean()
    assert abs(share - 0.1) < 0.05
    assert sample_span_mask([20] * 9, 0.05, 10, seeded()).any(dim=1).all()


def test_same_generator_state_gives_the_same_mask():
    lengths = [100, 70]
    one = sample_span_mask(lengths, 0.65, 10, seeded(3))
    assert torch.equal(one, sample_span_mask(lengths, 0.65, 10, seeded(3)))
    assert not torch.equal(one, sample_span_mask(lengths, 0.65, 10, seeded(4)))


def test_given_generator_leaves_torchs_own_alone():
    before = torch.random.get_rng_state()
    sample_span_mask([100], 0.65, 10, seeded(), require_same_masks=True)
    assert torch.equal(before, torch.random.get_rng_state())


# FeatureMasking

D = 128


def masked(masking, seed=1, number=1, num_frames=(100, 60)):
    masking.reseed(seed, number)
    x = torch.ones(len(num_frames), max(num_frames), D)
    return masking(x, list(num_frames), torch.full((D,), 7.0))


def test_hidden_frames_are_the_mask_embedding_and_others_untouched():
    masking = FeatureMasking()
    mask_emb = torch.randn(D)
    x = torch.randn(2, 100, D)
    before = x.clone()
    out = masking(x, [100, 60], mask_emb)
    hidden = (out != x).any(dim=2)
    assert 0.2 < hidden[0].float().mean() < 0.8
    assert not hidden[1, 60:].any()
    assert torch.equal(out[hidden], mask_emb.expand(int(hidden.sum()), D))
    assert torch.equal(out[~hidden], x[~hidden])
    assert torch.equal(x, before)


def test_hidden_channels_are_zero_over_the_whole_row():
    masking = FeatureMasking(
        mask_prob=0.5, mask_channel_prob=0.5, mask_channel_length=16
    )
    out = masked(masking)
    zero = (out == 0).all(dim=1)
    assert torch.equal(zero, (out == 0).any(dim=1))
    # Channels after frames: the mask embedding's are zero too.
    assert (out == 7.0).any()
    counts = zero.sum(dim=1)
    assert counts[0] == counts[1] and 16 <= counts[0] < D


def test_channels_alone_may_be_hidden():
    masking = FeatureMasking(
        mask_prob=0.0, mask_channel_prob=0.5, mask_channel_length=16
    )
    assert set(masked(masking).unique().tolist()) == {0.0, 1.0}


def all_different(drawn):
    return not any(
        torch.equal(a, b) for i, a in enumerate(drawn) for b in drawn[i + 1 :]
    )


def test_mask_depends_on_seed_and_number_and_nothing_else(monkeypatch):
    """Not on the process: the number is another one in each."""
    masking = FeatureMasking(mask_channel_prob=0.3, mask_channel_length=16)
    monkeypatch.delenv("RANK", raising=False)
    one = masked(masking)
    masked(masking, number=9)
    torch.manual_seed(99)
    assert torch.equal(masked(masking), one)
    assert torch.equal(masked(FeatureMasking(**vars_of(masking))), one)
    for rank in "012":
        monkeypatch.setenv("RANK", rank)
        assert torch.equal(masked(masking), one)
    others = [(2, 1), (1, 2), (2, 2), (1, 3), (-1, 1), (1 << 40, 1)]
    drawn = [masked(masking, seed, number) for seed, number in others]
    assert all_different([one, *drawn])


def test_unseeded_masks_depend_on_torchs_seed_and_the_process(monkeypatch):
    """All processes of a run have the same initial seed."""
    drawn = []
    for seed, rank in ((1, "0"), (1, "1"), (1, "2"), (2, "0")):
        monkeypatch.setenv("RANK", rank)
        again = []
        for _ in range(2):
            torch.manual_seed(seed)
            x = torch.ones(2, 100, D)
            again.append(FeatureMasking()(x, [100, 60], torch.zeros(D)))
        assert torch.equal(*again)
        drawn.append(again[0])
    assert all_different(drawn)


@pytest.mark.parametrize("numbers", ((0,), (3, 1, 7), (1 << 62, -5), (True, 4)))
def test_a_seeded_generator_is_a_function_of_its_numbers(numbers):
    def draw(*numbers):
        return torch.rand(4, generator=seeded_generator(*numbers))

    torch.manual_seed(len(numbers))
    first = draw(*numbers)
    assert torch.equal(draw(*numbers), first)
    others = [
        draw(*numbers[:i], n + 1, *numbers[i + 1 :])
        for i, n in enumerate(numbers)
    ]
    others += [draw(*numbers, 0)]
    if len(set(numbers)) > 1:
        others.append(draw(*numbers[::-1]))
    assert all_different([first, *others])


def test_seeds_of_a_run_do_not_meet():
    """Of train and dev, of neighbouring seeds, over many batches."""
    seeds = {
        seeded_generator(seed, train, number).initial_seed()
        for seed in (1986, 1987)
        for train in (False, True)
        for number in range(5000)
    }
    assert len(seeds) == 20_000


def test_a_seeded_generator_is_the_same_in_every_process():
    """Its draws were recorded: a hash that is randomised would differ."""
    draw = torch.rand(2, generator=seeded_generator(1986, 1, 0))
    torch.testing.assert_close(draw, torch.tensor([0.54564172, 0.25082558]))


def vars_of(masking):
    names = vars(masking)
    return {k: v for k, v in names.items() if not k.startswith("_")}


def test_masks_go_on_without_reseeding():
    masking = FeatureMasking()
    x = torch.ones(1, 100, D)
    first = masking(x, [100], torch.zeros(D))
    assert not torch.equal(first, masking(x, [100], torch.zeros(D)))


@pytest.mark.parametrize("options", ({}, {"mask_prob": 0.0}))
def test_mask_embedding_is_in_the_graph_even_if_nothing_is_hidden(options):
    mask_emb = torch.zeros(D, requires_grad=True)
    out = FeatureMasking(**options)(torch.ones(1, 50, D), [50], mask_emb)
    out.sum().backward()
    assert mask_emb.grad is not None
    assert (mask_emb.grad == 0).all() == (options != {})


def test_mask_keeps_the_precision_of_the_frames():
    x = torch.ones(1, 50, D, dtype=torch.bfloat16)
    assert FeatureMasking()(x, [50], torch.zeros(D)).dtype == torch.bfloat16


def test_encoder_masks_in_training_only_and_never_the_padding():
    torch.manual_seed(0)
    seen = []

    class Spy(FeatureMasking):
        def __call__(self, x, num_frames, mask_emb):
            out = super().__call__(x, num_frames, mask_emb)
            seen.append((num_frames, (out != x).any(dim=2)))
            return out

    encoder = Data2VecAudio("tiny", masking=Spy())
    wavs, wav_lens = torch.randn(2, 32000), torch.tensor([1.0, 0.5])
    encoder.eval()(wavs, wav_lens)
    assert seen == []
    encoder.train()(wavs, wav_lens)
    ((num_frames, hidden),) = seen
    assert num_frames == [99, 49]
    assert hidden.any(dim=1).all() and not hidden[1, 49:].any()
