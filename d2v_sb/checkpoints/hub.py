"""Published weights, from the hub or from its cache on this machine.

Authors
 * The d2v_sb developers 2026
"""

from pathlib import Path

from huggingface_hub import hf_hub_download
from huggingface_hub.errors import (
    EntryNotFoundError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
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
    caches = [save_path, None] if save_path else [None]
    for cache in caches:
        try:
            return _collect(name, cache, local_files_only=True)
        except (LocalEntryNotFoundError, EntryNotFoundError):
            continue
    try:
        return _collect(name, save_path, local_files_only=False)
    except RepositoryNotFoundError as error:
        raise CheckpointError(
            f"the hub has no model {name!r}. {known_sources()}"
        ) from error
    except (
        HfHubHTTPError,
        EntryNotFoundError,
        OfflineModeIsEnabled,
        OSError,
    ) as error:
        reason = str(error).strip().splitlines()[0]
        raise CheckpointError(
            f"{name} is not on this machine and can not be fetched ({reason})."
            " Fetch it where there is a network (`huggingface-cli download "
            f"{name}`) and give the folder, or name another encoder. "
            f"{known_sources()}"
        ) from error


def _collect(name, cache, local_files_only):
    """All files of a model; returns their folder."""

    def get(filename):
        return hf_hub_download(
            name, filename, cache_dir=cache, local_files_only=local_files_only
        )

    config = get("config.json")
    for i, weights in enumerate(WEIGHTS):
        try:
            get(weights)
            break
        except (LocalEntryNotFoundError, EntryNotFoundError):
            if i == len(WEIGHTS) - 1:
                raise
    for optional in OPTIONAL:
        try:
            get(optional)
        except (LocalEntryNotFoundError, EntryNotFoundError):
            # Not every model has them; when offline, neither was cached.
            continue
    return Path(config).parent
