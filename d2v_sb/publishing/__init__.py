"""Models made ready for others: a folder with a card, local or on the hub."""

from d2v_sb.publishing.card import Words
from d2v_sb.publishing.folder import Published, publish
from d2v_sb.publishing.hub import planned, push

__all__ = ["Published", "Words", "planned", "publish", "push"]
