"""``python -m d2v_sb`` is the command ``d2v-sb``.

Authors
 * The d2v_sb developers 2026
"""

from d2v_sb.cli import main

if __name__ == "__main__":
    main(prog_name="d2v-sb")
