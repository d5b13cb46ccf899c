"""How a training script begins and ends, whatever it trains.

Authors
 * The d2v_sb developers 2026
"""

import sys

import torch

from d2v_sb.errors import UserError


def run_training(main):
    """Runs a script's ``main``, says errors plainly, and parts the processes
    that torchrun started.

    A process that ends while another still works, as all others do while the
    main one writes a report, may abort where it is left to Python to take its
    group down: the threads of gloo are then destroyed as they run, and
    torchrun calls a finished training failed.

    Arguments
    ---------
    main : callable
        Takes the list of command-line arguments.

    Raises
    ------
    SystemExit
        With the message of an error that the user can mend; with 130 where
        the training was stopped from the keyboard.

    Example
    -------
    >>> import sys
    >>> sys.argv = ["train.py", "hparams.yaml"]
    >>> run_training(print)
    ['hparams.yaml']
    """
    try:
        main(sys.argv[1:])
    except UserError as error:
        sys.exit(f"\n{error}")
    except KeyboardInterrupt:
        print("\nStopped. The same command goes on from the last checkpoint,")
        print("or, where none was saved yet, begins again.")
        sys.exit(130)
    # Not after an error: others may wait for this process in the group.
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
