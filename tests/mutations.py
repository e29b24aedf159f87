"""Text files as they come out of accidents and attacks, for the tests of readers."""

from hypothesis import strategies as st

TOKENS = (
    *"[]{}:,-'\"~\n%?", "&a", "*a", "!!int ", "!!binary ", "null", "true", "1e999", "-1", "9" * 30, "\\ud800", "\x00",
    "a: 1\n", "<<: ", "0.0", "[[[[", "x" * 300, "../", "é", "(a|a)*", "{9999}", "|\n",
)  # fmt: skip


def mutated(text: str) -> st.SearchStrategy[str]:
    """Return texts in which some characters are replaced by others, or by what means something in YAML."""
    change = st.tuples(st.integers(0, len(text)), st.sampled_from((0, 0, 1, 2, 5)), st.sampled_from(TOKENS))

    def apply(changes: list[tuple[int, int, str]]) -> str:
        changed = text
        for at, length, token in changes:
            changed = changed[:at] + token + changed[at + length :]
        return changed

    return st.lists(change, min_size=1, max_size=3).map(apply)
