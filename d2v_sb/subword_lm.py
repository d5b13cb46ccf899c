"""Language models of subwords, in shallow fusion with joint search.

Reference: https://arxiv.org/abs/1712.01996

Authors
 * The d2v_sb developers 2026
"""

import numpy as np
import torch
from speechbrain.decoders import scorer

from d2v_sb.errors import CheckpointError, UserError
from d2v_sb.inference import yaml_lines
from d2v_sb.language_model import check_language_model, read_words
from d2v_sb.lm_folders import FOUND, NAME, LanguageModelFile, add_language_model

LEAST_KNOWN = 0.5  # of the subwords; less is a model of words
WEIGHTS = ".ckpt"  # a TransformerLM's; other endings are n-gram models'
MODULE = f"{NAME}: !new:{{name}}\n{{arguments}}\n\n"
FILE = f"{NAME}: !new:d2v_sb.lm_folders.LanguageModelFile\n\n"
SEARCHER = "searcher: !apply:d2v_sb.search.joint_searcher\n"


def load_subword_lm(path, make, labels):
    """A language model of the subwords that a recognition model writes.

    Arguments
    ---------
    path : str
        ``.ckpt``: weights of SpeechBrain's TransformerLM. Else an ARPA or
        KenLM binary file whose words are subwords.
    make : callable
        Makes the TransformerLM; called for weights only.
    labels : list of str
        The subwords, special ones among them.

    Returns
    -------
    torch.nn.Module or LanguageModelFile

    Raises
    ------
    UserError
        If there is no such file, it is no n-gram model of these subwords, or
        KenLM is needed and not installed.
    CheckpointError
        If the weights do not fit.

    Example
    -------
    >>> from functools import partial
    >>> from speechbrain.lobes.models.transformer.TransformerLM import (
    ...     TransformerLM,
    ... )
    >>> make = partial(
    ...     TransformerLM, 9, d_model=8, nhead=2, num_encoder_layers=1, d_ffn=8
    ... )
    >>> path = str(getfixture("tmp_path") / "model.ckpt")
    >>> torch.save(make().state_dict(), path)
    >>> load_subword_lm(path, make, [])(torch.tensor([[1, 4]])).shape
    torch.Size([1, 2, 9])
    """
    if not str(path).endswith(WEIGHTS):
        _check_ngram(path, labels)
        return LanguageModelFile(str(path))
    language_model = make()
    try:
        weights = torch.load(path, map_location="cpu", weights_only=True)
        language_model.load_state_dict(weights)
    except FileNotFoundError as error:
        raise CheckpointError(f"no such language model: {path}") from error
    except Exception as error:  # a pickle's, zip's or the weights' own
        raise CheckpointError(
            f"{path} is not the language model that lm_model describes, with "
            f"one output for each subword: {error}"
        ) from error
    return language_model.eval()


def _check_ngram(path, labels):
    check_language_model(path)
    words = read_words(path)
    known = [label for label in labels if words is None or label in words]
    if len(known) < LEAST_KNOWN * len(labels):
        raise UserError(
            f"{path} knows {len(known)} of the {len(labels)} subwords: joint "
            "search needs a language model whose words are this run's "
            "subwords; recipes/LibriSpeech/README.md has the command"
        )
    try:
        scorer.KenLMScorer(str(path), len(labels), labels)  # reads it whole
    except OSError as error:  # KenLM's
        raise UserError(
            f"{path} can not be read as a language model: {error}"
        ) from error


class KenLMScorer(scorer.KenLMScorer):
    """SpeechBrain's, made right in two things.

    It reads its file when the first search begins, since an inference folder is
    built before its files are found. And it begins after ``<s>``, where
    SpeechBrain's begins after nothing. The name is SpeechBrain's too, because
    ``ScorerBuilder`` goes by it.

    Arguments
    ---------
    language_model : LanguageModelFile
        Of subwords.
    tokenizer : Subwords or SentencePieceProcessor
        The subwords.
    """

    def __init__(self, language_model, tokenizer):
        self.language_model, self.tokenizer = language_model, tokenizer
        self.lm = None

    def reset_mem(self, x, enc_lens):
        """What a search begins with."""
        if self.lm is None:
            sp = getattr(self.tokenizer, "sp", self.tokenizer)
            labels = [sp.id_to_piece(i) for i in range(len(sp))]
            path = self.language_model.path
            super().__init__(path, len(labels), labels)
        super().reset_mem(x, enc_lens)

    def score(self, inp_tokens, memory, candidates, attn):
        """Scores of the next labels."""
        if memory is None:
            begin = self.kenlm.State()
            self.lm.BeginSentenceWrite(begin)
            count = len(inp_tokens)
            memory = np.array([begin] * count), np.ones(count)
        return super().score(inp_tokens, memory, candidates, attn)


def lm_scorer(language_model, tokenizer, temperature):
    """The scorer of a language model, for SpeechBrain's searchers.

    Arguments
    ---------
    language_model : torch.nn.Module or LanguageModelFile
        What ``load_subword_lm`` gives.
    tokenizer : Subwords or SentencePieceProcessor
        The subwords.
    temperature : float
        Of a module's distribution.

    Returns
    -------
    str, BaseScorerInterface
        SpeechBrain's name of it, and the scorer.
    """
    if isinstance(language_model, LanguageModelFile):
        return "kenlm", KenLMScorer(language_model, tokenizer)
    return "transformerlm", scorer.TransformerLMScorer(
        language_model, temperature
    )


def export_with_subword_lm(folder, target, lm_path, lm_weight, make):
    """Writes an inference folder that searches with a language model.

    Arguments
    ---------
    folder : str or pathlib.Path
        What ``export_joint`` wrote.
    target : str or pathlib.Path
        The folder to make, complete with the language model.
    lm_path : str
        As of ``load_subword_lm``.
    lm_weight : float
        What it counts.
    make : functools.partial
        Makes the TransformerLM, by keywords.
    """
    if str(lm_path).endswith(WEIGHTS):
        definition, changes = _definition(make), {}
    else:
        definition, changes = FILE, FOUND
    options = (
        f"    {NAME}: !ref <{NAME}>\n"
        "    tokenizer: !ref <tokenizer>\n"
        f"    lm_weight: {float(lm_weight)}\n"
    )
    search = {SEARCHER: f"{definition}{SEARCHER}{options}"}
    add_language_model(folder, target, lm_path, {**search, **changes})


def _definition(make):
    if make.args:
        raise UserError("lm_model: give its sizes by name")
    plain, classes = {}, []
    for name, value in make.keywords.items():
        if isinstance(value, type):
            value = f"!name:{value.__module__}.{value.__qualname__}"
            classes.append(f"    {name}: {value}")
        else:
            plain[name] = value
    arguments = "\n".join([yaml_lines(plain), *classes])
    name = f"{make.func.__module__}.{make.func.__qualname__}"
    return MODULE.format(name=name, arguments=arguments)
