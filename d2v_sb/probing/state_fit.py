"""How much of some audio a cache of states holds, in words.

Authors
 * The d2v_sb developers 2026
"""

import math
from dataclasses import dataclass

from d2v_sb.probing.state_index import size_text


@dataclass(frozen=True)
class Fit:
    """How much of some audio a cache holds, and what would hold all.

    Arguments
    ---------
    seconds : float
        Of all audio.
    held_seconds : float
        Of that for which there are states or is room.
    bytes_per_second : float
        What states take.
    limit_bytes : int
        What the cache may hold.
    needed_bytes : int
        What it would have to hold.
    by_disk : bool
        Whether the disk sets the limit and not the user.
    """

    seconds: float
    held_seconds: float
    bytes_per_second: float
    limit_bytes: int
    needed_bytes: int
    by_disk: bool

    @property
    def is_whole(self):
        """Whether the cache holds everything."""
        return self.needed_bytes <= self.limit_bytes

    def message(self):
        """What a user is to know where not everything fits.

        Returns
        -------
        str

        Example
        -------
        >>> fit = Fit(3.6e5, 7.2e4, 2.5e6, 180e9, 900e9, by_disk=False)
        >>> print(fit.message())
        a cache of 180 GB holds some 20.0 of 100.0 hours (states take 2.5 MB
        for each second); the rest is encoded at every epoch: --cache_gb 900
        would hold all
        """
        all_of_it = f"{math.ceil(self.needed_bytes / 1e9)}"
        if self.by_disk:
            what = "the disk has room for a cache of"
            way_out = f"a disk with room for {all_of_it} GB would hold all"
            verb = ", which holds"
        else:
            what, verb = "a cache of", " holds"
            way_out = f"--cache_gb {all_of_it} would hold all"
        return (
            f"{what} {size_text(self.limit_bytes)}{verb} some "
            f"{_share(self.held_seconds, self.seconds)} (states take "
            f"{size_text(self.bytes_per_second)} for each second); the rest "
            f"is encoded at every epoch: {way_out}"
        )


def _share(held, seconds):
    unit, length = ("hours", 3600) if seconds >= 3600 else ("minutes", 60)
    return f"{held / length:.1f} of {seconds / length:.1f} {unit}"
