"""Intervals: they cover what they should because they draw speakers.

Authors
 * The d2v_sb developers 2026
"""

from statistics import NormalDist

import numpy as np
import pytest

from d2v_sb.errors import DataError
from d2v_sb.scoring import (
    equal_error_rate,
    error_curve,
    error_rate_interval,
    group_interval,
    speaker_interval,
)

# A trial's score: SHIFT if a target, plus what is each speaker's own, plus
# noise. An interval must know that the speakers' own part is shared.
SHIFT, OWN = 2.0, 1.0
NUM_DATASETS, NUM_RESAMPLES = 40, 100


def draw_trials(seed, num_speakers=30):
    """32 target and 32 impostor trials a speaker."""
    generator = np.random.default_rng(seed)
    own = OWN * generator.normal(size=num_speakers)
    a = np.repeat(np.arange(num_speakers), 64)
    shift = generator.integers(1, num_speakers, len(a))
    b = np.where(np.arange(len(a)) % 2, (a + shift) % num_speakers, a)
    labels = a == b
    noise = generator.normal(size=len(a))
    scores = SHIFT * labels + own[a] + own[b] + noise
    return scores, labels, a.astype(str), b.astype(str)


def true_eer():
    """Of all speakers that there could be: two Gaussians."""
    of_targets = (4 * OWN**2 + 1) ** 0.5
    of_impostors = (2 * OWN**2 + 1) ** 0.5
    return NormalDist().cdf(-SHIFT / (of_targets + of_impostors))


def coverage(intervals, truth):
    """Share of the intervals that hold the truth."""
    return np.mean([low <= truth <= high for low, high in intervals])


def test_interval_of_trials_covers_the_true_rate():
    """Drawing trials instead, it would miss it often."""
    by_speaker, by_trial = [], []
    for seed in range(NUM_DATASETS):
        scores, labels, a, b = draw_trials(seed)
        by_speaker.append(
            speaker_interval(
                equal_error_rate, scores, labels, a, b, NUM_RESAMPLES
            )
        )
        # Each trial a speaker of its own.
        alone = np.arange(len(a)).astype(str)
        by_trial.append(
            speaker_interval(
                equal_error_rate, scores, labels, alone, alone, NUM_RESAMPLES
            )
        )
    assert coverage(by_speaker, true_eer()) >= 0.85
    assert coverage(by_trial, true_eer()) <= 0.75


def test_interval_of_utterances_covers_the_true_accuracy():
    """Drawing utterances instead, it would miss it often."""

    def accuracy(targets, predictions, weights):
        return np.average(targets == predictions, weights=weights)

    by_speaker, by_utterance = [], []
    for seed in range(NUM_DATASETS):
        generator = np.random.default_rng(seed)
        chances = generator.beta(2, 2, size=30)  # of each speaker; mean 0.5
        speakers = np.repeat(np.arange(30), 20)
        right = generator.random(600) < chances[speakers]
        classes = np.zeros(600, int), (~right).astype(int)
        for groups, found in (
            (speakers, by_speaker),
            (np.arange(600), by_utterance),
        ):
            found.append(
                group_interval(accuracy, *classes, groups, NUM_RESAMPLES)
            )
    assert coverage(by_speaker, 0.5) >= 0.85
    assert coverage(by_utterance, 0.5) <= 0.75


def test_trial_counts_as_both_its_speakers_were_drawn():
    """A trial of two speakers by the product, of one by her own count."""
    speakers = np.array(list("abcd"))
    a, b = (side.ravel() for side in np.meshgrid(speakers, speakers))
    labels = a == b
    scores = np.arange(16.0)  # in order already: weights come as they are
    seen = []

    def metric(scores, labels, weights):
        seen.append(weights)
        return 0.0

    speaker_interval(metric, scores, labels, a, b, 50)
    assert len(seen) == 50 and len(set(map(tuple, seen))) > 10
    for weights in seen:
        counts = weights[labels]
        assert counts.sum() == 4
        products = np.outer(counts, counts)
        np.fill_diagonal(products, counts)
        np.testing.assert_array_equal(weights.reshape(4, 4), products)


def test_draws_without_a_kind_of_trial_are_drawn_again():
    """Half of the draws of two speakers have no impostor trial."""
    kinds = []

    def metric(scores, labels, weights):
        kinds.append(weights[labels].sum() > 0 and weights[~labels].sum() > 0)
        return float(len(kinds))

    low, high = speaker_interval(
        metric, [1, 2, 3], [1, 0, 1], "aab", "abb", 20, level=1.0
    )
    assert kinds == [True] * 20 and (low, high) == (1.0, 20.0)
    for labels in ([1, 1], [0, 0]):
        with pytest.raises(DataError, match="target trials and impostor"):
            speaker_interval(metric, [1, 2], labels, "ab", "ab")


def test_same_seed_same_interval_whatever_the_order_of_trials():
    """And another one gives another."""
    scores, labels, a, b = draw_trials(0)
    order = np.random.default_rng(1).permutation(len(a))

    def interval(order, seed):
        shuffled = (x[order] for x in (scores, labels, a, b))
        return speaker_interval(
            equal_error_rate, *shuffled, num_resamples=20, seed=seed
        )

    straight = np.arange(len(a))
    assert interval(order, 3) == interval(straight, 3)
    assert interval(straight, 4) != interval(straight, 3)


def test_several_measures_share_their_draws():
    """Each has the interval that it has alone."""
    trials = draw_trials(5)

    def both(*trials):
        rate = equal_error_rate(*trials)
        return np.array([rate, len(error_curve(*trials)[0])])

    low, high = speaker_interval(both, *trials, num_resamples=20)
    alone = speaker_interval(equal_error_rate, *trials, num_resamples=20)
    assert low.shape == high.shape == (2,)
    assert (low[0], high[0]) == alone


def test_one_speaker_has_no_interval():
    """It would have no width and look certain."""
    with pytest.raises(DataError, match="needs two of them, not 1"):
        group_interval(lambda *_: 0.0, [0, 1], [0, 1], ["a", "a"])


def draw_errors(seed, num_speakers=30, each=12):
    """Errors and words of utterances; a speaker's chance of an error is her
    own, 0.2 in the mean."""
    generator = np.random.default_rng(seed)
    chances = generator.beta(1, 4, size=num_speakers)
    speakers = np.repeat(np.arange(num_speakers), each)
    words = generator.integers(3, 15, len(speakers))
    errors = generator.binomial(words, chances[speakers])
    return errors, words, speakers.astype(str)


def test_interval_of_error_rates_covers_the_true_rate():
    """Drawing utterances instead, it is narrower, and misses it often."""
    by_speaker, by_utterance = [], []
    for seed in range(NUM_DATASETS):
        errors, words, speakers = draw_errors(seed)
        alone = np.arange(len(words)).astype(str)
        for groups, found in (
            (speakers, by_speaker),
            (alone, by_utterance),
        ):
            found.append(
                error_rate_interval(errors, words, groups, NUM_RESAMPLES)
            )
    assert coverage(by_speaker, 20.0) >= 0.85
    assert coverage(by_utterance, 20.0) <= 0.75
    widths = [np.ptp(found, axis=1) for found in (by_speaker, by_utterance)]
    assert (widths[0] > 1.3 * widths[1]).all()


def test_interval_of_error_rates_is_that_of_a_double_loop():
    """All utterances of a drawn speaker count, as often as she was drawn, and
    words weigh: the mean of speakers' rates is another."""
    errors, words, speakers = draw_errors(3, num_speakers=5)
    names = sorted(set(speakers))
    generator = np.random.default_rng(7)
    rates, of_speakers = [], []
    for _ in range(200):
        counts = generator.multinomial(5, [0.2] * 5)
        wrong = said = 0
        own = []
        for name, count in zip(names, counts, strict=True):
            for e, w, speaker in zip(errors, words, speakers, strict=True):
                if speaker == name:
                    wrong += count * e
                    said += count * w
            mine = speakers == name
            own += [100 * errors[mine].sum() / words[mine].sum()] * count
        rates.append(100 * wrong / said)
        of_speakers.append(np.mean(own))
    low, high = error_rate_interval(errors, words, speakers, 200, 0.9, seed=7)
    expected = np.percentile(rates, [5, 95])
    assert (low, high) == pytest.approx(tuple(expected))
    assert np.abs(np.percentile(of_speakers, [5, 95]) - expected).min() > 1e-3


def test_error_rates_of_one_speaker_have_no_interval():
    with pytest.raises(DataError, match="needs two of them, not 1"):
        error_rate_interval([1, 0], [4, 4], "aa")
