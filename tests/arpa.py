"""Small language models for tests.

Authors
 * The d2v_sb developers 2026
"""


def write_arpa(path, words, pairs=()):
    """Writes an ARPA file of words, and pairs of them that are likely."""
    singles = [f"-1.0\t{word}\t0" for word in ["<s>", "</s>", "<unk>", *words]]
    pairs = ["-1.0\t<s> </s>", *(f"-0.1\t{pair}" for pair in pairs)]
    lines = [
        *("\\data\\", f"ngram 1={len(singles)}", f"ngram 2={len(pairs)}", ""),
        *("\\1-grams:", *singles, "", "\\2-grams:", *pairs, "", "\\end\\", ""),
    ]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path
