"""A folder for others: the model, its card, its licence.

Authors
 * The d2v_sb developers 2026
"""

import dataclasses
import filecmp
import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from d2v_sb.atomic import replacing
from d2v_sb.checkpoints import PRETRAINED, save_hf, save_native
from d2v_sb.errors import CheckpointError, UserError
from d2v_sb.publishing.card import make_card
from d2v_sb.publishing.figures import Results
from d2v_sb.publishing.inference_files import copy_inference
from d2v_sb.publishing.kinds import ENCODER
from d2v_sb.publishing.licences import licence_text
from d2v_sb.publishing.private import public
from d2v_sb.publishing.rights_text import ATTRIBUTION, attribution
from d2v_sb.publishing.run_results import own_results

CARD = "README.md"
LICENCE = "LICENSE"
TRANSFORMERS = "transformers"


@dataclass(frozen=True)
class Published:
    """What was written.

    Arguments
    ---------
    folder : pathlib.Path
        Where.
    kept : bool
        Whether a card that was there already, and edited, was kept.
    """

    folder: Path
    kept: bool = False


def publish(source, folder, words, others=(), repo=None, licence=None):
    """Writes the folder.

    One that is there already is left as it is where it is to be pushed and
    holds the same model, but for its card: one that was edited is kept, one
    that was not gets the name on the hub.

    Arguments
    ---------
    source : Source
        The model.
    folder : str or pathlib.Path
        The folder to make.
    words : Words
        What the user says of it.
    others : list of Result
        Test figures of other runs, for comparison.
    repo : str, optional
        Its name on the hub, for the examples of the card.
    licence : str, optional
        The licence's text, else that which the package has, if any.

    Returns
    -------
    Published

    Raises
    ------
    UserError
        If something else is in its place.
    CheckpointError
        If the model can not be loaded.
    """
    folder = Path(folder)
    if folder.exists() and repo is None:
        raise UserError(
            f"{folder} is there already: remove it, or name another"
        )
    licence = licence or licence_text(words.licence)
    words = dataclasses.replace(words, text_at_hand=licence is not None)
    results = Results(own_results(source), list(others))
    here = make_card(source, words, results, folder.name, folder.name)
    card = here
    if repo is not None:
        card = make_card(source, words, results, repo.split("/")[-1], repo)
    if not folder.exists():
        with replacing(folder) as beside:
            write(source, beside, licence)
            (beside / CARD).write_text(card, encoding="utf-8")
        return Published(folder)
    _check_same(source, folder, licence)
    return Published(folder, _keep_card(folder / CARD, card, here, repo))


def write(source, folder, licence=None):
    """Writes all but the card, and loads it.

    Arguments
    ---------
    source : Source
        The model.
    folder : pathlib.Path
        The folder to make.
    licence : str, optional
        The licence's text.

    Raises
    ------
    CheckpointError
        If SpeechBrain can not load it.
    """
    if source.kind is ENCODER:
        save_hf(source.checkpoint, folder)
        record = public(source.checkpoint.training_config)
        save_native(
            dataclasses.replace(source.checkpoint, training_config=record),
            folder / PRETRAINED,
            _half(source.path),
        )
    else:
        copy_inference(source, folder)
        _check_loads(source, folder)
        if source.transformers:
            save_hf(source.checkpoint, folder / TRANSFORMERS)
    texts = {LICENCE: licence, ATTRIBUTION: attribution(source)}
    for name, text in texts.items():
        if text is not None:
            (folder / name).write_text(text, encoding="utf-8")


def files_of(folder):
    """The files of a folder by their path in it, hidden ones left out.

    Arguments
    ---------
    folder : pathlib.Path
        The folder.

    Returns
    -------
    dict
        ``pathlib.Path`` by name with ``/``, sorted.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> _ = (folder / "README.md").write_text("")
    >>> _ = (folder / ".hidden").write_text("")
    >>> list(files_of(folder))
    ['README.md']
    """
    files = {}
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        if path.is_file() and not any(p.startswith(".") for p in parts):
            files["/".join(parts)] = path
    return files


def _check_loads(source, folder):
    """Whoever gets the folder has nobody to ask why it does not load."""
    try:
        source.kind.load(folder)
    except Exception as error:  # YAML may raise whatever its classes raise
        reason = (str(error).strip() or repr(error)).splitlines()[0]
        raise CheckpointError(
            f"{source.path} can not be loaded by "
            f"{source.kind.interface} ({reason}): give the run's command "
            "again, which writes it anew, and then publish it"
        ) from error


def _half(path):
    """float16 where the source is, so that no file grows."""
    if path.suffix != ".safetensors":
        return None
    with safe_open(path, framework="pt") as file:
        kinds = {file.get_slice(name).get_dtype() for name in file.keys()}
    return torch.float16 if kinds == {"F16"} else None


def _check_same(source, folder, licence):
    """A folder that is there already must hold this model."""
    way_out = f"remove {folder}, or name another"
    if not (folder / CARD).is_file():
        raise UserError(f"{folder} is there already: {way_out}")
    with tempfile.TemporaryDirectory(
        prefix=f".{folder.name}.", dir=folder.parent
    ) as holder:
        fresh = Path(holder) / folder.name
        write(source, fresh, licence)
        made = files_of(fresh)
        more = sorted({*files_of(folder)} - {*made, CARD, LICENCE})
        if more:
            raise UserError(
                f"{folder} is there already, and has what is not of the model: "
                f"{', '.join(more)}. Move that away, or {way_out}"
            )
        for name, path in made.items():
            there = folder / name
            if not there.is_file() or not _same(path, there):
                raise UserError(
                    f"{folder} is there already, and its {name} is not that of "
                    f"{source.path}: {way_out}"
                )


def _same(path, other):
    """Safetensors writes what it is told of a file in any order, so that two
    of the same content may have other bytes."""
    if filecmp.cmp(path, other, shallow=False):
        return True
    if path.suffix != ".safetensors":
        return False
    try:
        with safe_open(path, "pt") as a, safe_open(other, "pt") as b:
            return (
                a.metadata() == b.metadata()
                and a.keys() == b.keys()
                and all(
                    torch.equal(a.get_tensor(k), b.get_tensor(k))
                    for k in a.keys()
                )
            )
    except SafetensorError:
        return False


def _keep_card(path, card, here, repo):
    """Whether an edited card was kept; else it is written."""
    there = path.read_text(encoding="utf-8")
    if there in (card, here):
        with replacing(path) as beside:
            beside.write_text(card, encoding="utf-8")
        return False
    if repo is not None and repo not in there:
        raise UserError(
            f"{path} is not as it would be made now, and does not name {repo}: "
            f"put {repo} into its examples, or remove {path.parent}"
        )
    return True
