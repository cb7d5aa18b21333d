"""The table of settings in docs/deployment.md, made of flagsmith_sse/settings.py:
`make docs` writes it, and a test compares."""

import ast
from pathlib import Path

from flagsmith_sse import settings

FILE = Path(__file__).with_name("deployment.md")
BEGIN, END = "<!-- settings -->\n", "<!-- end of settings -->\n"


def meanings() -> dict[str, str]:
    """What each variable is for: the docstring below the setting that reads it."""
    tree = ast.parse(Path(settings.__file__).read_text())
    found = {}
    for statement, following in zip(tree.body, tree.body[1:], strict=False):
        if not isinstance(statement, ast.Assign):
            continue
        for node in ast.walk(statement.value):
            if (
                isinstance(node, ast.Constant)
                and node.value in settings.variables
                and isinstance(following, ast.Expr)
                and isinstance(following.value, ast.Constant)
            ):
                found[str(node.value)] = " ".join(str(following.value.value).split())
    return found


def table() -> str:
    """The table in Markdown, in the order in which the settings are read."""
    explained = meanings()
    rows = ["| Variable | Default | Takes | Meaning |", "|---|---|---|---|"]
    for name, variable in settings.variables.items():
        default = str(variable.default).replace(str(settings.BASE_DIR), "…")
        if isinstance(variable.default, bool):
            default = default.lower()
        cells = [
            f"`{name}`",
            f"`{default}`" if default else "",
            variable.takes,
            explained.get(name, ""),
        ]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows) + "\n"


def with_table(text: str) -> str:
    """`text` with the table where its marks are."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{table()}{END}{after}"


if __name__ == "__main__":
    FILE.write_text(with_table(FILE.read_text()))
