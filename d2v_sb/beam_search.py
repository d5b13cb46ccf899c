"""CTC beam search with a language model: its values, and folders that do it.

Authors
 * The d2v_sb developers 2026
"""

from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from speechbrain.decoders.ctc import CTCBeamSearcher

from d2v_sb.atomic import replacing
from d2v_sb.errors import DataError, UserError
from d2v_sb.inference import GREEDY, yaml_lines
from d2v_sb.language_model import identity, read_words
from d2v_sb.lm_folders import FOUND, NAME, add_language_model

CHOSEN = "beam_search.yaml"  # in an output folder
WITH_LM = f"""\
{NAME}: !new:d2v_sb.lm_folders.LanguageModelFile

test_beam_search:
    {NAME}: !ref <{NAME}>
    blank_index: !ref <blank_index>
{{options}}

decoding_function: !name:d2v_sb.beam_search.LMBeamSearcher
"""


class LMBeamSearcher(CTCBeamSearcher):
    """SpeechBrain's beam search, for ``EncoderASR`` and our log-probabilities.

    By itself it ends an utterance at its relative length, rounded down, which
    now and then is a frame early. ``CTCModel`` makes padded frames blank, so
    here all frames are searched.

    Arguments
    ---------
    vocab_list : list of str
        Texts of the labels in their order.
    blank_index : int
        The blank's label.
    language_model : LanguageModelFile
        The language model; it needs the extra `lm`.
    **options : dict
        Of ``CTCBeamSearcher``: alpha, beta, beam_size, …

    Raises
    ------
    UserError
        If the file can not be read as a language model, or an option is none
        of the searcher's.
    """

    def __init__(self, vocab_list, blank_index, language_model, **options):
        try:
            super().__init__(
                blank_index=blank_index,
                vocab_list=vocab_list,
                kenlm_model_path=language_model.path,
                unigrams=read_words(language_model.path),
                **options,
            )
        except OSError as error:  # KenLM's
            raise UserError(
                f"{language_model.path} can not be read as a language model: "
                f"{error}"
            ) from error
        except TypeError as error:
            raise UserError(
                f"beam_search (in an inference folder: test_beam_search): {error}"
            ) from error

    def __call__(self, log_probs, wav_lens=None, lm_start_state=None):
        """Hypotheses of each utterance; ``wav_lens`` is not used."""
        return super().__call__(log_probs, None, lm_start_state)


def write_chosen(folder, lm_path, options, reason):
    """Keeps values for beam search where tests of a recipe find them.

    Arguments
    ---------
    folder : str or pathlib.Path
        The output folder of a run.
    lm_path : str
        The language model that they are for.
    options : dict
        Of ``CTCBeamSearcher``.
    reason : str
        Why these, for who reads the file.

    Returns
    -------
    pathlib.Path
        The file.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> lm = folder / "lm.arpa"
    >>> _ = lm.write_text("")
    >>> path = write_chosen(folder, lm, {"alpha": 0.4}, "WER 9 % on dev")
    >>> chosen_options(folder, lm, {"alpha": 1.0, "beta": 2.0})
    {'alpha': 0.4, 'beta': 2.0}
    """
    path = Path(folder) / CHOSEN
    text = (
        f"# {reason}\n"
        "# Tests of this folder's run with the same language model take these\n"
        "# values instead of the hparams' beam_search. Remove the file to not.\n"
        f"{yaml_lines(identity(lm_path), 0)}\n"
        f"beam_search:\n{yaml_lines(options)}\n"
    )
    with replacing(path) as beside:
        beside.write_text(text, encoding="utf-8")
    return path


def chosen_options(folder, lm_path, options):
    """Values for beam search: those chosen for a language model, if any.

    Arguments
    ---------
    folder, lm_path
        As of ``write_chosen``.
    options : dict
        Values where none were chosen.

    Returns
    -------
    dict

    Raises
    ------
    DataError
        If the file of chosen values can not be read.
    """
    path = Path(folder) / CHOSEN
    if not path.is_file():
        return dict(options)
    try:
        kept = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
        chosen = dict(kept.pop("beam_search"))
    except (
        YAMLError,
        AttributeError,
        KeyError,
        TypeError,
        ValueError,
    ) as error:
        raise DataError(
            f"{path} holds no values for beam search: remove it, or run "
            "d2v-sb sweep again"
        ) from error
    return {**options, **chosen} if kept == identity(lm_path) else dict(options)


def export_with_lm(folder, target, lm_path, options):
    """Writes an inference folder that searches with a language model.

    Arguments
    ---------
    folder : str or pathlib.Path
        What ``export_ctc`` wrote.
    target : str or pathlib.Path
        The folder to make, complete with the language model.
    lm_path : str
        An ARPA or KenLM binary file.
    options : dict
        Of ``CTCBeamSearcher``.

    Raises
    ------
    CheckpointError
        If the folder is none of ``export_ctc``'s.
    """
    search = WITH_LM.format(options=yaml_lines(options))
    add_language_model(folder, target, lm_path, {GREEDY: search, **FOUND})
