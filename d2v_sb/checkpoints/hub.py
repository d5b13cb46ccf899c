"""Published weights, from the hub or from its cache on this machine.

Authors
 * The d2v_sb developers 2026
"""

from pathlib import Path

from huggingface_hub import hf_hub_download
from huggingface_hub.errors import (
    EntryNotFoundError,
    HFValidationError,
    HTTPError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
)

from d2v_sb.checkpoints.hf import WEIGHTS
from d2v_sb.errors import CheckpointError
from d2v_sb.presets import known_sources

OPTIONAL = ("preprocessor_config.json", "vocab.json")


def fetch_from_hub(name, save_path=None):
    """Finds a model on this machine, or else downloads it.

    Nothing is asked of the network when `save_path` or the hub's usual cache
    holds the model.

    Arguments
    ---------
    name : str
        Such as "facebook/data2vec-audio-base".
    save_path : str, optional
        Cache folder; the hub's usual one if not given.

    Returns
    -------
    pathlib.Path
        A Transformers folder.

    Raises
    ------
    CheckpointError
        If it is not cached and can not be downloaded.
    """
    try:
        return _find_or_download(name, save_path)
    except (RepositoryNotFoundError, HFValidationError) as error:
        raise CheckpointError(
            f"the hub has no model {name!r}. {known_sources()}"
        ) from error
    # HTTPError is of the client that the hub's library uses: a download that
    # breaks off is no error of the library's own.
    except (HTTPError, EntryNotFoundError, OSError) as error:
        reason = (str(error).strip() or repr(error)).splitlines()[0]
        raise CheckpointError(
            f"{name} is not on this machine and can not be fetched ({reason})."
            f" Fetch it where there is a network (`hf download {name}`) and "
            "give the folder that this prints, or name another encoder. "
            f"{known_sources()}"
        ) from error


def _find_or_download(name, save_path):
    caches = [save_path, None] if save_path else [None]
    for cache in caches:
        try:
            return _collect(name, cache, local_files_only=True)
        except EntryNotFoundError:
            continue
    return _collect(name, save_path, local_files_only=False)


def _collect(name, cache, local_files_only):
    """All files of a model; returns their folder.

    The weights come last: where they are, nothing else is missing because a
    download broke off.
    """

    def get(filename):
        return hf_hub_download(
            name, filename, cache_dir=cache, local_files_only=local_files_only
        )

    config = get("config.json")
    for optional in OPTIONAL:
        try:
            get(optional)
        except EntryNotFoundError as error:
            # Not every model has them. Local means: asked for, but there was
            # no answer.
            if not local_files_only and isinstance(
                error, LocalEntryNotFoundError
            ):
                raise
    for i, weights in enumerate(WEIGHTS):
        try:
            get(weights)
            break
        except EntryNotFoundError:
            if i == len(WEIGHTS) - 1:
                raise
    return Path(config).parent
