"""A published folder on the hub: first what would be sent, then sending it.

Authors
 * The d2v_sb developers 2026
"""

import contextlib
import re
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import CommitOperationAdd, HfApi, get_token
from huggingface_hub.utils import (
    HfHubHTTPError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
)

from d2v_sb import __version__
from d2v_sb.errors import UserError
from d2v_sb.publishing.folder import files_of

REPO = re.compile(r"[\w.-]+/[\w.-]+")
# Of the library beneath, which each major version of the hub's has another of:
# requests, httpx, httpx2.
HTTP_ERROR = HfHubHTTPError.__bases__[0]
MAIN = "main"
UNIT = 1e6  # bytes
AGAIN = "{folder} is whole, and the same command goes on from here"


@dataclass(frozen=True)
class Plan:
    """What a push sends.

    Arguments
    ---------
    folder : pathlib.Path
        From where.
    repo : str
        USER/NAME.
    endpoint : str
        The hub's address.
    revision : str
        The branch.
    private : bool
        Whether a repository that is made anew is private.
    files : dict
        Bytes by name.
    """

    folder: Path
    repo: str
    endpoint: str
    revision: str
    private: bool
    files: dict

    def lines(self):
        """For people, a line a file."""
        kind = "private if it is new" if self.private else "public if it is new"
        yield (
            f"{self.endpoint}/{self.repo}, branch {self.revision}, model, {kind}"
        )
        for name, size in self.files.items():
            yield f"{size / UNIT:10.3f} MB  {name}"
        yield f"{sum(self.files.values()) / UNIT:10.3f} MB  in all"


def planned(folder, repo, private=False, revision=None, endpoint=None):
    """What a push would send; nothing is asked of the network.

    Arguments
    ---------
    folder : str or pathlib.Path
        What ``publish`` wrote.
    repo : str
        USER/NAME on the hub.
    private : bool
        Whether it shall be private, if it is new.
    revision : str, optional
        A branch, "main" if not given.
    endpoint : str, optional
        The hub's address, HF_ENDPOINT or the usual one if not given.

    Returns
    -------
    Plan

    Raises
    ------
    UserError
        If `repo` is not of that form.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> _ = (folder / "README.md").write_text("card")
    >>> planned(folder, "me/model").files
    {'README.md': 4}
    """
    if not REPO.fullmatch(repo):
        raise UserError(f"--push {repo}: name it as USER/NAME")
    folder = Path(folder)
    files = {n: path.stat().st_size for n, path in files_of(folder).items()}
    endpoint = HfApi(endpoint=endpoint).endpoint
    return Plan(folder, repo, endpoint, revision or MAIN, private, files)


def push(plan):
    """Sends a folder in one commit: on the hub it is there whole or not at all.

    Files that the hub has already are not sent again, and files there that
    the folder does not have are left.

    Arguments
    ---------
    plan : Plan
        As ``planned`` gives it.

    Returns
    -------
    tuple of (str, list of str)
        The address of the commit, and the files that were left.

    Raises
    ------
    UserError
        If there is no token, it lacks the right, or the hub can not be
        reached.
    """
    token = get_token()
    if token is None:
        raise UserError(
            "there is no token of the hub: make one that may write at "
            f"{plan.endpoint}/settings/tokens, then give `hf auth login` or "
            "set HF_TOKEN"
        )
    api = HfApi(endpoint=plan.endpoint, token=token)
    with _explained(plan):
        api.create_repo(plan.repo, private=plan.private or None, exist_ok=True)
        if plan.revision != MAIN:
            api.create_branch(plan.repo, branch=plan.revision, exist_ok=True)
        there = api.list_repo_files(plan.repo, revision=plan.revision)
        commit = api.create_commit(
            plan.repo,
            [
                CommitOperationAdd(name, str(plan.folder / name))
                for name in plan.files
            ],
            commit_message=f"Publish with d2v_sb {__version__}",
            revision=plan.revision,
        )
    left = sorted({*there} - {*plan.files, ".gitattributes"})
    return commit.commit_url, left


@contextlib.contextmanager
def _explained(plan):
    """Turns what the hub's library raises into one message."""
    again = AGAIN.format(folder=plan.folder)
    try:
        yield
    except OfflineModeIsEnabled as error:
        raise UserError(
            "HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE is set, so nothing was "
            f"sent: unset it. {again}"
        ) from error
    except RepositoryNotFoundError as error:
        raise UserError(
            f"{plan.endpoint} does not let this token see a model "
            f"{plan.repo}: is it a data set or a space, or is the token of "
            f"another user? {_said(error)} {again}"
        ) from error
    except HfHubHTTPError as error:
        raise UserError(f"{_answer(plan, error)} {again}") from error
    except (HTTP_ERROR, OSError) as error:
        raise UserError(
            f"{plan.endpoint} can not be reached, or the connection broke "
            f"({_first(error)}). {again}"
        ) from error
    # A refused card is a ValueError, a failed upload of a large file a
    # RuntimeError that was raised from the error itself.
    except (ValueError, RuntimeError) as error:
        cause = error.__cause__
        if isinstance(cause, HfHubHTTPError):
            text = f"{_first(error)} {_answer(plan, cause)}"
        else:
            text = f"{plan.repo} was not sent: {' '.join(str(error).split())}."
        raise UserError(f"{text} {again}") from error


def _answer(plan, error):
    """What the hub's status means."""
    status = error.response.status_code
    if status == 401:
        return (
            f"{plan.endpoint} does not accept the token (401): it may have "
            f"run out. Make another and give `hf auth login`. {_said(error)}"
        )
    if status == 403:
        return (
            f"the token may not write to {plan.repo} (403): USER must be your "
            "name or an organisation of yours, and the token must have the "
            f"right to write. {_said(error)}"
        )
    return f"{plan.endpoint} answered {status}. {_said(error)}"


def _said(error):
    """The hub's own words."""
    said = getattr(error, "server_message", None)
    return f"It says: {' '.join(said.split())}." if said else ""


def _first(error):
    return (str(error).strip() or repr(error)).splitlines()[0]
