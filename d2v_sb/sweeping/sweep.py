"""Decodes dev with one choice of values after the other.

Authors
 * The d2v_sb developers 2026
"""

import hashlib
import itertools
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path

import jiwer
from speechbrain.dataio.dataio import load_data_csv

from d2v_sb.beam_search import LMBeamSearcher, export_with_lm, write_chosen
from d2v_sb.errors import UserError
from d2v_sb.hparams import read_plain
from d2v_sb.language_model import check_language_model, check_words, identity
from d2v_sb.lm_folders import LanguageModelFile
from d2v_sb.progress import Progress
from d2v_sb.sweeping.log_probs import LogProbs, cached_log_probs
from d2v_sb.sweeping.points import Point, Points

PARTS = 4  # of dev for each process: the last ones to end wait little


class Sweep:
    """Searches alpha, beta and the beam size on the dev split of a run.

    The network hears dev once; points that were decoded before are not decoded
    again. A sweep that was stopped goes on, and finer values add to the rest.

    Arguments
    ---------
    run : str
        The output folder of a CTC recipe that has ended.
    lm_path : str
        An ARPA or KenLM binary file.
    jobs : int
        Processes that decode.
    device : str
        Where the network is run.

    Raises
    ------
    UserError
        If the folder is of no such run, or the language model can not be used.
    """

    def __init__(self, run, lm_path, jobs=1, device="cpu"):
        self.run, self.lm_path, self.jobs = Path(run), Path(lm_path), jobs
        check_language_model(lm_path)
        hparams = self._file("hyperparams.yaml")
        plain = read_plain(hparams)
        if "beam_search" not in plain:
            raise UserError(
                f"{hparams} has no beam_search: it is of no CTC run"
            )
        # What is not swept stays as it was.
        self.options = {
            k: float(v) if isinstance(v, float) else v
            for k, v in plain["beam_search"].items()
        }
        rows = load_data_csv(self._file("dev.csv"))
        self.texts = {name: row["wrd"] for name, row in rows.items()}
        check_words(self.lm_path, self.texts.values())
        self.folder = self.run / "sweep"
        self.log_probs = cached_log_probs(
            self.folder / "log_probs",
            self.run / "inference",
            {name: row["wav"] for name, row in rows.items()},
            convert=plain["on_bad_audio"] == "convert",
            device=device,
        )
        self.points = Points(self.folder / "points.csv", self._source())

    def search(self, alphas, betas, beam_sizes):
        """Tries all alphas with all betas by the first beam size, then the
        best of all so far by the others.

        Arguments
        ---------
        alphas, betas : list of float
            The values.
        beam_sizes : list of int
            The values.

        Returns
        -------
        Point
            The best of this model and language model that is known.
        """
        first, *others = beam_sizes
        grid = itertools.product(alphas, betas)
        self._try([Point(alpha, beta, first) for alpha, beta in grid])
        best = self.points.best()
        self._try([Point(best.alpha, best.beta, size) for size in others])
        return self.points.best()

    def write(self, best):
        """Writes the values where tests of the run find them, and an inference
        folder that decodes with them.

        Arguments
        ---------
        best : Point
            The choice.

        Returns
        -------
        pathlib.Path, pathlib.Path
            The file and the folder.
        """
        options = {**self.options, **best.options}
        reason = (
            f"Chosen by d2v-sb sweep: {best.WER:.2f} % WER on the "
            f"{len(self.texts)} utterances of dev, of {len(self.points)} points"
        )
        inference, target = self.run / "inference", self.run / "inference_lm"
        export_with_lm(inference, target, self.lm_path, options)
        return write_chosen(self.run, self.lm_path, options, reason), target

    def _file(self, name):
        path = self.run / name
        if not path.is_file():
            raise UserError(
                f"there is no {path}: a sweep takes the output folder of a "
                "CTC recipe that has ended"
            )
        return path

    def _source(self):
        """Names model, data, language model and what is not swept."""
        swept = Point(0, 0, 0).options
        fixed = {k: v for k, v in self.options.items() if k not in swept}
        parts = (
            self.log_probs.source,
            sorted(identity(self.lm_path).items()),
            sorted(fixed.items()),
        )
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]

    def _try(self, points):
        points = [point for point in points if point not in self.points]
        if not points:
            return
        names = list(self.texts)
        count = min(len(names), self.jobs * PARTS)
        parts = [names[i::count] for i in range(count)]
        setting = self.log_probs.folder, self.lm_path, self.options
        with (
            _workers(self.jobs, setting) as each,
            Progress("decoding dev", len(points), "point") as progress,
        ):
            for point in points:
                options = itertools.repeat(point.options)
                heard = dict(itertools.chain(*each(_decode, options, parts)))
                self.points.add(self._measured(point, heard))
                progress.update()

    def _measured(self, point, heard):
        references = list(self.texts.values())
        hypotheses = [heard[name] for name in self.texts]
        return Point(
            **point.options,
            WER=100 * jiwer.wer(references, hypotheses),
            CER=100 * jiwer.cer(references, hypotheses),
        )


@contextmanager
def _workers(jobs, setting):
    """A `map` over processes, or, for one, in this one."""
    if jobs == 1:
        _begin(*setting)
        yield map
        return
    # Spawned: a fork of a process with threads of torch may hang.
    context = get_context("spawn")
    with ProcessPoolExecutor(jobs, context, _begin, setting) as pool:
        try:
            yield pool.map
        except BrokenProcessPool as error:
            raise UserError(
                "a process that decodes was killed, most likely for memory: "
                "give fewer --jobs, or a KenLM binary file, which processes "
                "share. What was decoded is kept"
            ) from error


def _begin(folder, lm_path, options):
    """Loads the language model once a process."""
    global log_probs, searcher, refused
    refused = None
    log_probs = LogProbs(folder)
    try:
        searcher = LMBeamSearcher(
            log_probs.labels,
            log_probs.blank_index,
            LanguageModelFile(str(lm_path)),
            **options,
        )
    except UserError as error:  # what begins a process may not raise
        refused = error


def _decode(options, names):
    """Texts of utterances: list of (str, str)."""
    if refused is not None:
        raise refused
    searcher.beam_size = options["beam_size"]
    searcher.lm.alpha = options["alpha"]
    searcher.lm.beta = options["beta"]
    return [(name, searcher(log_probs[name])[0][0].text) for name in names]
