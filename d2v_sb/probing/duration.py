"""How long a probe is trained, and how often it is validated.

Authors
 * The d2v_sb developers 2026
"""


class Epochs:
    """So many passes over the data, with a validation after each.

    Arguments
    ---------
    number : int
        How many.

    Example
    -------
    >>> Epochs(3).plan(100)
    (100, 300)
    """

    def __init__(self, number):
        self.number = int(number)

    def plan(self, updates_a_pass):
        """(Updates between validations, updates in all)."""
        return updates_a_pass, self.number * updates_a_pass


class Updates:
    """So many updates, with a validation now and then.

    Arguments
    ---------
    number : int
        How many.
    validate_every : int
        Updates between validations.

    Example
    -------
    >>> Updates(5000, 1000).plan(70)
    (1000, 5000)
    """

    def __init__(self, number, validate_every):
        self.number, self.validate_every = int(number), int(validate_every)

    def plan(self, updates_a_pass):
        """(Updates between validations, updates in all)."""
        return min(self.validate_every, self.number), self.number
