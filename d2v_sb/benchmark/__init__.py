"""Benchmarks: many tasks, encoders and heads from one table.

Authors
 * The d2v_sb developers 2026
"""
