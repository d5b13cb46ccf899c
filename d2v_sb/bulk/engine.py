"""Files through a model in batches of like lengths, the device kept busy.

Threads read ahead, and a batch is given to the device before the results of
the one before it are looked at.

Authors
 * The d2v_sb developers 2026
"""

import math
from contextlib import nullcontext
from typing import NamedTuple

import torch
from speechbrain.utils.data_utils import batch_pad_right

from d2v_sb.bulk.inputs import Item
from d2v_sb.bulk.loading import Failed, Loader
from d2v_sb.bulk.pieces import Span
from d2v_sb.presets import SAMPLE_RATE

GROWTH = 1.15  # from one class of lengths to the next: most padding is 13 %
NUM_WORKERS = 4
AHEAD = 4  # batches that may wait to be heard
PATIENCE = 8  # batches for which a batch that is not full waits
PRECISIONS = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}


class Done(NamedTuple):
    """What a model gave for a piece of a file.

    `number` is the piece's in the file, `read_at` the file's stamp from before
    it was read.
    """

    item: Item
    number: int
    piece: Span
    output: object
    read_at: tuple


class Engine:
    """Gives pieces of many files to a model.

    Arguments
    ---------
    model : object
        `device`; ``forward(wavs, wav_lens)``, which takes a padded batch
        (B, N) on the device and relative lengths (B,) on the CPU and gives a
        tuple of tensors (B, …) or lists; ``rows(tensors, num_samples)``, which
        takes these on the CPU and true lengths and gives a list of B outputs.
    cut : callable
        Blocks of a file to pieces, see ``d2v_sb.bulk.pieces``.
    batch_seconds : float
        Most audio in a batch, padding included; a longer piece is one alone.
    precision : str
        One of ``PRECISIONS``.
    num_workers : int
        Threads that read files.

    Example
    -------
    >>> import soundfile
    >>> from d2v_sb.bulk.pieces import AtPauses
    >>> class Loudness:
    ...     device = torch.device("cpu")
    ...
    ...     def forward(self, wavs, wav_lens):
    ...         return (wavs.square().mean(dim=1),)
    ...
    ...     def rows(self, tensors, num_samples):
    ...         return tensors[0].tolist()
    >>> path = str(getfixture("tmp_path") / "a.wav")
    >>> soundfile.write(path, [0.5] * 800, 16000)
    >>> engine = Engine(Loudness(), AtPauses())
    >>> [done.output for done in engine.run([Item("a", path)])]
    [0.25...]
    """

    def __init__(
        self,
        model,
        cut,
        batch_seconds=60.0,
        precision="fp32",
        num_workers=NUM_WORKERS,
    ):
        self.model = model
        self.cut = cut
        self.batch_samples = round(batch_seconds * SAMPLE_RATE)
        self.dtype = PRECISIONS[precision]
        self.num_workers = num_workers

    def run(self, items):
        """Hears files.

        Arguments
        ---------
        items : list of Item
            In the order in which they are begun, see ``longest_first``.

        Yields
        ------
        Done or Failed
            Those of a file in its order; of different files they may mix. A
            file may fail after some of its pieces were done.
        """
        ahead = AHEAD * self.batch_samples / SAMPLE_RATE
        order, failed = _Order(), set()
        with Loader(items, self.cut, self.num_workers, ahead) as loader:
            for found in self._in_flight(self._batches(loader)):
                if isinstance(found, Failed):
                    failed.add(found.item)
                    order.forget(found.item)
                    yield found
                elif found.item not in failed:
                    yield from order.put(found)

    def _batches(self, loader):
        """Pieces by length until they fill a batch; failures pass."""
        filling, number = {}, 0
        for found in loader:
            if isinstance(found, Failed):
                yield found
                continue
            length = len(found.piece.wav)
            key = math.floor(math.log(length, GROWTH))
            batch = filling.get(key)
            if batch is not None and not batch.has_room(
                length, self.batch_samples
            ):
                yield filling.pop(key).pieces
                number += 1
                # Whatever waits for a rare length keeps its file from ending.
                for old in [k for k in filling if filling[k].due <= number]:
                    yield filling.pop(old).pieces
                batch = None
            if batch is None:
                batch = filling[key] = _Batch(number + PATIENCE)
            batch.add(found, length)
        # The shortest last, as the files are.
        for key in sorted(filling, reverse=True):
            yield filling[key].pieces

    def _in_flight(self, batches):
        """Results of each batch once the next one is on its way."""
        before = None
        for batch in batches:
            if isinstance(batch, Failed):
                yield batch
                continue
            now = self._start(batch)
            if before is not None:
                yield from self._finish(*before)
            before = now
        if before is not None:
            yield from self._finish(*before)

    @torch.inference_mode()
    def _start(self, batch):
        device = self.model.device
        wavs, wav_lens = batch_pad_right([x.piece.wav for x in batch])
        if device.type == "cuda":
            wavs = wavs.pin_memory()
        with self._autocast(device.type):
            tensors = self.model.forward(
                wavs.to(device, non_blocking=True), wav_lens
            )
        if device.type != "cuda":
            return batch, tensors, None
        # Copied behind this batch and before the next one, or looking at
        # these results would wait for the next ones.
        tensors = [
            x.to("cpu", non_blocking=True) if torch.is_tensor(x) else x
            for x in tensors
        ]
        event = torch.cuda.Event()
        event.record(torch.cuda.current_stream(device))
        return batch, tensors, event

    @torch.inference_mode()
    def _finish(self, batch, tensors, event):
        if event is not None:
            event.synchronize()
        num_samples = [len(x.piece.wav) for x in batch]
        outputs = self.model.rows(tensors, num_samples)
        return [
            Done(x.item, x.number, Span.of(x.piece), output, x.read_at)
            for x, output in zip(batch, outputs, strict=True)
        ]

    def _autocast(self, device_type):
        if self.dtype is None:
            return nullcontext()
        return torch.autocast(device_type, self.dtype)


class _Batch:
    """Pieces of like lengths, to be heard when so many batches were."""

    def __init__(self, due):
        self.due = due
        self.pieces, self.longest = [], 0

    def has_room(self, length, num_samples):
        longest = max(self.longest, length)
        return longest * (len(self.pieces) + 1) <= num_samples

    def add(self, found, length):
        self.pieces.append(found)
        self.longest = max(self.longest, length)


class _Order:
    """Gives back the pieces of each file in their order."""

    def __init__(self):
        self._waiting = {}  # item: (number that is due, early ones by number)

    def put(self, done):
        due, early = self._waiting.pop(done.item, (0, {}))
        early[done.number] = done
        ready = []
        while due in early:
            ready.append(early.pop(due))
            due += 1
        if not (ready and ready[-1].piece.last):
            self._waiting[done.item] = due, early
        return ready

    def forget(self, item):
        self._waiting.pop(item, None)
