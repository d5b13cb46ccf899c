"""Joint search that knows how many frames each utterance has.

Authors
 * The d2v_sb developers 2026
"""

from speechbrain.decoders import S2STransformerBeamSearcher
from speechbrain.decoders.scorer import CTCScorer, ScorerBuilder
from torch import nn

from d2v_sb.subword_lm import lm_scorer


def joint_searcher(
    model,
    bos_index,
    eos_index,
    blank_index,
    beam_size,
    ctc_weight_decode,
    temperature,
    max_decode_ratio,
    length_normalization,
    language_model=None,
    lm_weight=0.0,
    tokenizer=None,
):
    """SpeechBrain's beam search over a decoder, scored by CTC too.

    Arguments
    ---------
    model : JointModel
        Its decoder proposes, its CTC head scores.
    bos_index, eos_index, blank_index : int
        The labels of begin, end and blank.
    beam_size : int
        Hypotheses that are kept.
    ctc_weight_decode : float
        What CTC counts, from 0 (attention alone) to 1.
    temperature : float
        Of the distributions of decoder and TransformerLM.
    max_decode_ratio : float
        The longest output, in labels per frame.
    length_normalization : bool
        Whether a hypothesis is worth its mean score.
    language_model : torch.nn.Module or LanguageModelFile, optional
        Of subwords, see ``load_subword_lm``.
    lm_weight : float
        What it counts.
    tokenizer : Subwords or SentencePieceProcessor, optional
        The subwords, for an n-gram model.

    Returns
    -------
    ExactSearcher
    """
    full, partial, weights = [], [], {}
    if ctc_weight_decode > 0:
        full.append(CTCScorer(model.ctc_head, blank_index, eos_index))
        weights["ctc"] = ctc_weight_decode
    if language_model is not None:
        name, of_lm = lm_scorer(language_model, tokenizer, temperature)
        # An n-gram model is asked label by label: for the likely ones only.
        (partial if name == "kenlm" else full).append(of_lm)
        weights[name] = lm_weight
    scorer = ScorerBuilder(weights, full, partial) if weights else None
    return ExactSearcher(
        S2STransformerBeamSearcher(
            modules=[model.decoder, model.seq_head],
            temperature=temperature,
            bos_index=bos_index,
            eos_index=eos_index,
            min_decode_ratio=0.0,
            max_decode_ratio=max_decode_ratio,
            beam_size=beam_size,
            scorer=scorer,
            using_eos_threshold=False,
            length_normalization=length_normalization,
        )
    )


class ExactSearcher(nn.Module):
    """A searcher of SpeechBrain's, told the lengths in frames exactly.

    By itself it rounds relative lengths of waveforms, which is off by a frame
    now and then, so that an utterance would depend on its batch. One thing is
    left of that: a hypothesis that finds no end is cut at the limit of the
    longest utterance.

    Arguments
    ---------
    searcher : torch.nn.Module
        Called with states and relative lengths.

    Example
    -------
    >>> import torch
    >>> class Lengths(nn.Module):
    ...     def forward(self, states, wav_lens):
    ...         return (states.shape[1] * wav_lens).tolist()
    >>> states = torch.ones(2, 10, 4)
    >>> states[1, 7:] = 0
    >>> ExactSearcher(Lengths())(states, torch.tensor([1.0, 0.62]))
    [10.0, 7.0]
    """

    def __init__(self, searcher):
        super().__init__()
        self.searcher = searcher

    def forward(self, states, wav_lens=None):
        """Searches.

        Arguments
        ---------
        states : torch.Tensor
            Of a ``SpeechEncoder`` (B, T, D), zero where padded.
        wav_lens : torch.Tensor, optional
            Not used; interfaces pass it.

        Returns
        -------
        tuple
            What the searcher returns, the labels of each utterance first.
        """
        frames = states.abs().amax(dim=-1).gt(0).sum(dim=1)
        return self.searcher(states, frames / states.shape[1])
