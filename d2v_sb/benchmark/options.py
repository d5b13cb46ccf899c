"""Options that a user adds to the jobs of a benchmark.

``KEY`` is given to the scripts of all tasks, ``TASK.KEY`` to those of one.

Authors
 * The d2v_sb developers 2026
"""

from difflib import get_close_matches

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from d2v_sb.errors import DataError

# SpeechBrain's own, by their full names. They are listed here since its parser
# comes with torch, and takes what is short for one of them too.
RUN_OPTIONS = frozenset(
    "ckpt_interval_minutes ckpt_interval_steps compile_mode "
    "compile_module_keys debug_batches debug_epochs device distributed_backend "
    "eval_precision grad_accumulation_factor "
    "jit_module_keys log_config max_grad_norm nonfinite_patience "
    "optimizer_step_limit precision profile_steps profile_warmup".split()
)
# Those that take no value.
FLAGS = frozenset(
    "auto_mix_prec bfloat16_mix_prec compile "
    "compile_using_dynamic_shape_tracing compile_using_fullgraph "
    "data_parallel_backend debug debug_persistently find_unused_parameters jit "
    "noprogressbar profile_training remove_vector_weight_decay "
    "skip_nonfinite_grads test_only tqdm_colored_bar".split()
)


def options_of(options, name):
    """What the scripts of a task get.

    Arguments
    ---------
    options : dict of str to str
        What the user adds, by ``KEY`` or ``TASK.KEY``.
    name : str
        Of the task.

    Returns
    -------
    dict of str to str
        By ``KEY``; what is for the one task goes before what is for all.

    Example
    -------
    >>> options_of({"lr": "1", "asr.lr": "2", "sid.seed": "3"}, "asr")
    {'lr': '2'}
    """
    own = {
        key.removeprefix(f"{name}."): value
        for key, value in options.items()
        if key.startswith(f"{name}.")
    }
    return {k: v for k, v in options.items() if "." not in k} | own


def option_faults(options, tasks):
    """What is wrong with options, as far as hparams files tell.

    Arguments
    ---------
    options : dict of str to str
        As of ``options_of``.
    tasks : list of Task
        Those that are run.

    Returns
    -------
    list of str

    Raises
    ------
    DataError
        If an hparams file can not be read.
    """
    keys = {task.name: hparams_keys(task.hparams) for task in tasks}
    faults = []
    for option, value in options.items():
        task, dot, key = option.rpartition(".")
        having = [one for one in tasks if not dot or one.name == task]
        if not having:
            faults.append(
                f"--option {option}: no task {task!r} is to be run, but "
                + ", ".join(keys)
            )
            continue
        taken = [one.name for one in having if key in one.reserved]
        if taken:
            faults.append(
                f"--option {option}: jobs of {', '.join(taken)} have their "
                "own; there are --encoder, --mode, --seed and --data"
            )
        elif key in FLAGS:
            if value.lower() != "true":
                faults.append(
                    f"--option {option}={value}: it takes nothing but true; "
                    "leave it out"
                )
        elif key not in RUN_OPTIONS:
            known = {one.name: keys[one.name] for one in having}
            faults += _unknown(option, key, known)
    return faults


def hparams_keys(path):
    """The keys of an hparams file, of which nothing is built.

    Arguments
    ---------
    path : pathlib.Path
        The file.

    Returns
    -------
    list of str

    Raises
    ------
    DataError
        If it can not be read.
    """
    try:
        with open(path, encoding="utf-8") as stream:
            root = YAML(pure=True).compose(stream)
    except (OSError, UnicodeDecodeError, YAMLError) as error:
        raise DataError(f"{path} can not be read as YAML: {error}") from error
    pairs = getattr(root, "value", None)
    return [key.value for key, _ in pairs] if isinstance(pairs, list) else []


def _unknown(option, key, known):
    """Faults of a key, by the keys that each of the tasks knows."""
    having = [name for name, keys in known.items() if key in keys]
    lacking = [name for name in known if name not in having]
    if not lacking:
        return []
    said = f"--option {option}: no key of the hparams file of "
    if having:
        ways = " ".join(f"--option {name}.{key}=…" for name in having)
        return [f"{said}{', '.join(lacking)}: give {ways} instead"]
    every = {*RUN_OPTIONS, *FLAGS}.union(*known.values())
    near = get_close_matches(key, sorted(every), 1)
    hint = f" (did you mean {near[0]}?)" if near else ""
    more = "and no option of SpeechBrain's"
    return [f"{said}{', '.join(lacking)}, {more}{hint}"]
