"""The table of settings in docs/deployment.md, made of their declarations: `make docs`
writes it, and a test compares."""

from pathlib import Path

from flagsmith_sse import settings

FILE = Path(__file__).with_name("deployment.md")
BEGIN, END = "<!-- settings -->\n", "<!-- end of settings -->\n"


def table() -> str:
    """The table in Markdown, in the order in which the settings are read."""
    rows = ["| Variable | Default | Takes | Meaning |", "|---|---|---|---|"]
    for setting in settings.environment.known.values():
        default = setting.default.replace(str(settings.BASE_DIR), "…")
        cells = [
            f"`{setting.name}`",
            f"`{default}`" if default else "",
            setting.takes,
            setting.meaning,
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
