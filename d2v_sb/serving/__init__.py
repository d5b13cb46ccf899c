"""The local page of ``d2v-sb serve``.

Authors
 * The d2v_sb developers 2026
"""
