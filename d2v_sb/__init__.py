"""data2vec for SpeechBrain: encoder, pretraining and recipes.

Authors
 * The d2v_sb developers 2026
"""

__version__ = "0.1.0"
