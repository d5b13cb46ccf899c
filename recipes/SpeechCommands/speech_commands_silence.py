"""Silence of Speech Commands: background noises cut in pieces of a second.

SUPERB takes another random second of each noise whenever it is drawn, for
train and dev alike. Here the pieces are files: each epoch, encoder and head
meets the same, states can be kept for them, and dev has none of train's.

Authors
 * The d2v_sb developers 2026
"""

import soundfile as sf
from speech_commands_clips import SILENCE, WAY_OUT

from d2v_sb.atomic import replacing
from d2v_sb.audio_files import Fault, examine
from d2v_sb.errors import DataError

NOISES = "_background_noise_"
DEV_EVERY = 10  # as a tenth of the speakers is dev


def list_silence(data_folder, clips_folder):
    """Cuts the background noises and parts the pieces.

    Arguments
    ---------
    data_folder : pathlib.Path
        Its ``_background_noise_`` holds the noises.
    clips_folder : pathlib.Path
        Where the pieces go, ``_silence_/<noise>/<second>.wav``.

    Returns
    -------
    train, dev : list of dict
        ``ID``, ``wav``, ``spk_id`` (the noise) and ``label``. Dev has every
        tenth piece of a noise.
    faults : list of Fault
        Noises that can not be cut.

    Raises
    ------
    DataError
        If there is no noise, or a piece can not be written.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> (folder / NOISES).mkdir()
    >>> sf.write(folder / NOISES / "hum.wav", [0.1] * 180000, 16000)
    >>> train, dev, faults = list_silence(folder, folder / "clips")
    >>> len(train), dev[0]["ID"], dev[0]["spk_id"]
    (10, '_silence_/hum/009', 'hum')
    """
    noises = sorted((data_folder / NOISES).glob("[!.]*.wav"))
    if not noises:
        raise DataError(
            f"{data_folder / NOISES} has no .wav to cut silence of. {WAY_OUT}"
        )
    train, dev, faults = [], [], []
    for noise in noises:
        id_ = f"{SILENCE}/{noise.stem}"
        fault = examine(id_, noise)[1]
        # The pieces of what can be converted are judged as all clips are.
        if fault is not None and not fault.convertible:
            faults.append(fault)
            continue
        pieces = cut(noise, clips_folder / SILENCE / noise.stem)
        if not pieces:
            reason = "too short: not a second to cut out"
            faults.append(Fault(id_, str(noise), reason))
        for count, path in enumerate(pieces, 1):
            part = dev if count % DEV_EVERY == 0 else train
            part.append(
                {
                    "ID": f"{id_}/{path.stem}",
                    "wav": str(path),
                    "spk_id": noise.stem,
                    "label": SILENCE,
                }
            )
    return train, dev, faults


def cut(noise, folder):
    """Writes each whole second of a noise to a folder, all or none, and lists
    the files; those that an earlier run wrote are kept."""
    with sf.SoundFile(noise) as audio:
        rate = audio.samplerate
        names = [f"{n:03d}.wav" for n in range(audio.frames // rate)]
        paths = [folder / name for name in names]
        if not all(path.is_file() for path in paths):
            with replacing(folder) as beside:
                beside.mkdir()
                for name in names:
                    # 16 bits, as the corpus has them: nothing is rounded.
                    second = audio.read(rate, dtype="int16")
                    sf.write(beside / name, second, rate, subtype="PCM_16")
    return paths
