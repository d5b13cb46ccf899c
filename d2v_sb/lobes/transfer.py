"""Pretrained weights that fit, or an error.

Authors
 * The d2v_sb developers 2026
"""

from speechbrain.utils.checkpoints import (
    mark_as_transfer,
    register_checkpoint_hooks,
    torch_patched_state_dict_load,
)


@register_checkpoint_hooks
class StrictTransfer:
    """Makes SpeechBrain's ``Pretrainer`` load a module's weights strictly.

    Its own way only warns of missing weights, and a model that is partly
    random then runs as if nothing were wrong.
    """

    @mark_as_transfer
    def _transfer(self, path):
        self.load_state_dict(torch_patched_state_dict_load(path), strict=True)
