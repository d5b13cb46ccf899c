"""Audio files read by FFmpeg, which knows what libsndfile does not.

Authors
 * The d2v_sb developers 2026
"""

import torch

from d2v_sb.bulk.sndfile import AudioInfo
from d2v_sb.errors import DataError
from d2v_sb.transcoding import MAX_LACKING


class FFmpegDecoder:
    """Reads what FFmpeg reads, by PyAV.

    Arguments
    ---------
    path : str
        The file.

    Raises
    ------
    DataError
        If it holds no audio, or is damaged.
    """

    def __init__(self, path):
        import av

        self.path = path
        # Opened here, and no protocol allowed: playlists name other files and
        # addresses, which FFmpeg would open for whoever wrote them.
        self._file = open(path, "rb")  # noqa: SIM115
        try:
            self._container = av.open(
                self._file, options={"protocol_whitelist": "none"}
            )
        except (av.FFmpegError, ValueError) as error:
            self._file.close()
            raise DataError(f"{path}: unreadable: {_said(error)}") from error
        if not self._container.streams.audio:
            self.close()
            raise DataError(f"{path}: no audio in it")
        self._stream = stream = self._container.streams.audio[0]
        if stream.codec_context is None:
            self.close()
            raise DataError(f"{path}: its audio is of no known codec")
        self._seconds, self._ends_at = self._by_header()
        name = self._container.format.name
        self.info = AudioInfo(
            self._seconds or self._ends_at, stream.rate, stream.channels, name
        )

    def read(self):
        """Sample rate and an iterator of tensors (n,)."""
        import av

        frames = self._frames()
        first = next(frames, None)
        if first is None:
            raise DataError(f"{self.path}: empty: 0 samples")
        rate = first.sample_rate  # the header's may be half of it in AAC

        def pieces():
            frame, layout, resampler = first, None, None
            while frame is not None:
                if frame.sample_rate != rate:
                    raise DataError(
                        f"{self.path}: its sample rate changes from {rate} to "
                        f"{frame.sample_rate} Hz: convert it first"
                    )
                # Of samples only: neither rate nor channels change. A new one
                # for a new layout, since one takes only one.
                if layout != frame.layout.name:
                    layout = frame.layout.name
                    resampler = av.AudioResampler("fltp")
                for part in resampler.resample(frame):
                    yield torch.from_numpy(part.to_ndarray()).mean(dim=0)
                frame = next(frames, None)

        if self._seconds is None:
            return rate, pieces()
        return rate, _without_padding(pieces(), self._seconds, rate)

    def close(self):
        """Closes the file."""
        self._container.close()
        self._file.close()

    def _frames(self):
        """Frames as FFmpeg gives them, but for what is missing an error."""
        import av

        end = None
        try:
            for frame in self._container.decode(self._stream):
                begin = frame.time
                if begin is None:
                    begin = end or 0.0
                if end is None and self._seconds is not None:
                    self._ends_at = begin + self._seconds
                if end is not None:
                    self._raise_if_lacking(begin, end)
                end = begin + frame.samples / frame.sample_rate
                yield frame
        except DataError:
            raise
        except (av.FFmpegError, ValueError) as error:
            at = "" if end is None else f" after {end:.1f} s"
            raise DataError(
                f"{self.path}: broken{at}: {_said(error)}"
            ) from error
        # FFmpeg takes a file that ends between two packets for a shorter one.
        if self._ends_at is not None and end is not None:
            self._raise_if_lacking(self._ends_at, end)

    def _raise_if_lacking(self, begin, end):
        if begin - end > MAX_LACKING:
            raise DataError(
                f"{self.path}: truncated or broken: {begin - end:.1f} s are "
                f"missing after {end:.1f} s"
            )

    def _by_header(self):
        """Seconds of the stream, and when it ends; None if not said."""
        container, stream = self._container, self._stream
        if "m4a" in container.format.name and stream.duration:
            return float(stream.duration * stream.time_base), None
        if "matroska" in container.format.name:
            if "DURATION" in stream.metadata:
                return None, _clock(stream.metadata["DURATION"])
            # That of several streams may be another one's.
            if len(container.streams) == 1 and container.duration:
                return None, container.duration / 1e6
        return None, None  # what FFmpeg says of others may be a guess


def _without_padding(pieces, seconds, rate):
    """Leaves out what fills the last packet, but nothing longer."""
    due, taken, behind = round(seconds * rate), 0, []
    for wav in pieces:
        room = max(0, due - taken)
        taken += len(wav)
        yield wav[:room]
        if len(wav) > room:  # an empty part would keep the rest in memory
            behind.append(wav[room:])
        if taken - due > MAX_LACKING * rate:  # the header was wrong
            yield from behind
            behind.clear()


def _clock(text):
    """Seconds of hours:minutes:seconds, None if it is none."""
    try:
        hours, minutes, seconds = text.split(":")
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    except ValueError:
        return None


def _said(error):
    """PyAV's reason without the call or file that it names."""
    return getattr(error, "strerror", None) or error
