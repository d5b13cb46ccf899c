"""Where a pretraining run starts from, and what it leaves.

Authors
 * The d2v_sb developers 2026
"""

import logging

from d2v_sb.checkpoints import Checkpoint, load_checkpoint, save_native
from d2v_sb.pretraining.student import LinearPredictor

logger = logging.getLogger(__name__)


def start_from(source, student, teacher, save_path=None):
    """Takes a checkpoint's teacher and predictor, where it has them.

    The student's encoder was built from the same source and has its weights.

    Arguments
    ---------
    source : str
        As for ``Data2VecAudio``.
    student : Student
        Its predictor gets the checkpoint's weights.
    teacher : Teacher
        Gets those of the checkpoint's teacher; else it stays what it is, a
        copy of the student's transformer.
    save_path : str, optional
        Folder in which weights from the hub are kept.

    Raises
    ------
    CheckpointError
        If there is no such source, or it is damaged.

    Example
    -------
    >>> from d2v_sb.lobes import Data2VecAudio
    >>> from d2v_sb.pretraining import LinearDecay, LinearPredictor
    >>> from d2v_sb.pretraining import Student, Teacher
    >>> student = Student(Data2VecAudio("tiny"), LinearPredictor(128))
    >>> decay = LinearDecay(0.999, 0.9999, 30000)
    >>> teacher = Teacher(student.encoder.encoder, decay, 2)
    >>> start_from("tiny", student, teacher)
    """
    checkpoint = load_checkpoint(source, save_path)
    linear = _linear(student)
    known = checkpoint.predictor is not None and linear is not None
    if known:
        linear.load_state_dict(checkpoint.predictor)
    if checkpoint.teacher:
        teacher.transformer.load_state_dict(checkpoint.teacher)
    logger.info(
        "pretraining goes on from %s: teacher %s, predictor %s",
        source,
        "from its file" if checkpoint.teacher else "a copy of the student",
        "from its file" if known else "random",
    )


def export_pretrained(path, student, teacher, options):
    """Writes encoder, predictor and teacher into one file.

    Arguments
    ---------
    path : str or pathlib.Path
        A ``.safetensors``, the source of an encoder from then on.
    student : Student
        Trained.
    teacher : Teacher
        Its teacher.
    options : dict
        What it was trained with, plain values; ``d2v-sb inspect`` shows it.

    A predictor other than ``LinearPredictor`` is not written.
    """
    encoder, linear = student.encoder, _linear(student)

    def weights(module):
        state = module.state_dict()
        return {
            name: value.cpu()
            for name, value in state.items()
            if name != "_extra_state"
        }

    save_native(
        Checkpoint(
            str(path),
            "d2v_sb",
            encoder.config,
            weights(encoder),
            predictor=None if linear is None else weights(linear),
            teacher=weights(teacher.transformer),
            training_config=options,
        ),
        path,
    )


def _linear(student):
    """The layer of a ``LinearPredictor``; None of another predictor."""
    predictor = student.predictor
    return predictor.linear if isinstance(predictor, LinearPredictor) else None
