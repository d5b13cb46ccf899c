"""What a run was trained with: its folder goes on with nothing else.

Without it, the command with another learning rate on a finished run would
report the old model's figures under the new options.

Authors
 * The d2v_sb developers 2026
"""

import json
from pathlib import Path

from d2v_sb.atomic import replacing
from d2v_sb.errors import UserError
from d2v_sb.free_options import FREE


def check_run_options(path, hparams, begun):
    """Refuses to go on with a run under other options, and keeps those of a
    new one.

    Arguments
    ---------
    path : str or pathlib.Path
        Where they are kept, a JSON file.
    hparams : dict
        Values by key; those that are objects do not count.
    begun : bool
        Whether the run has a checkpoint.

    Raises
    ------
    UserError
        If it has, and was trained with other options.

    Example
    -------
    >>> path = getfixture("tmp_path") / "options.json"
    >>> check_run_options(path, {"lr": 0.1}, begun=False)
    >>> check_run_options(path, {"lr": 0.2}, begun=True)
    Traceback (most recent call last):
    d2v_sb.errors.UserError: ... was trained with other options: lr 0.1, now ...
    """
    path = Path(path)
    ours = {key: value for key, value in hparams.items() if _counts(key, value)}
    ours = json.loads(json.dumps(ours))
    if begun and path.is_file():
        theirs = json.loads(path.read_text(encoding="utf-8"))
        changed = [
            f"{key} {theirs.get(key)}, now {ours.get(key)}"
            for key in sorted({*ours, *theirs})
            if ours.get(key) != theirs.get(key)
        ]
        if changed:
            raise UserError(
                f"the run in {path.parent} was trained with other options: "
                f"{'; '.join(changed)}. Give those again to go on with it, or "
                "begin in another --output_folder"
            )
        return
    with replacing(path) as beside:
        text = json.dumps(ours, indent=2, sort_keys=True) + "\n"
        beside.write_text(text, encoding="utf-8")


def _counts(key, value):
    if key in FREE or key.startswith("__"):
        return False
    if isinstance(value, dict):
        return all(_counts("", inner) for inner in value.values())
    if isinstance(value, (list, tuple)):
        return all(_counts("", inner) for inner in value)
    return value is None or isinstance(value, (bool, int, float, str))
