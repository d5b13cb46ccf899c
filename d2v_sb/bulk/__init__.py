"""Many audio files through a model: any format, any length, in batches.

Authors
 * The d2v_sb developers 2026
"""
