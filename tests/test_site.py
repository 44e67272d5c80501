"""Test the documentation site: it builds without warnings, is complete without a network, and fits a phone."""

from __future__ import annotations

import functools
import html
import importlib.util
import json
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pytest
from filelock import FileLock

if TYPE_CHECKING:
    from types import ModuleType

ROOT = Path(__file__).parents[1]
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
PHONE_WIDTH = 390

pytestmark = pytest.mark.skipif(importlib.util.find_spec("zensical") is None, reason="zensical is not installed")


@functools.cache
def script() -> ModuleType:
    """The module scripts/build_site.py."""
    spec = importlib.util.spec_from_file_location("build_site", ROOT / "scripts" / "build_site.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> tuple[Path, list[str]]:
    """The folder of the built site and the problems of the build, which happens once for all workers."""
    shared = tmp_path_factory.getbasetemp() if worker_id == "master" else tmp_path_factory.getbasetemp().parent
    folder, log = shared / "site", shared / "site.json"
    with FileLock(shared / "site.lock"):
        if not log.exists():
            log.write_text(json.dumps(script().build(folder)), encoding="utf-8")
    return folder / "html", json.loads(log.read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def site(built: tuple[Path, list[str]]) -> Path:
    """The folder of the built site."""
    return built[0]


def pages(site: Path) -> list[Path]:
    """Return the HTML pages of the site."""
    return sorted(site.rglob("*.html"))


def test_site_builds_without_problems(built: tuple[Path, list[str]]) -> None:
    assert built[1] == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[text](absent.md)", "page does not exist"),
        ("[text](#absent)", "anchor does not exist"),
        ("::: codex_backend_sdk.absent", "codex_backend_sdk.absent could not be found"),
    ],
)
def test_problem_in_a_page_fails_the_build(tmp_path: Path, text: str, problem: str) -> None:
    repository = tmp_path / "repository"
    for name in script().PUBLISHED:
        (repository / name).parent.mkdir(parents=True, exist_ok=True)
        (repository / name).write_text("# Page\n", encoding="utf-8")
    (repository / "README.md").write_text(f"# Page\n\n{text}\n", encoding="utf-8")
    configuration = (
        '[project]\nsite_name = "x"\ndocs_dir = "pages"\nsite_dir = "html"\n[project.plugins.mkdocstrings]\n'
    )
    (repository / "zensical.toml").write_text(configuration, encoding="utf-8")
    problems = script().build(tmp_path / "site", repository)
    assert problem in "\n".join(problems)


def test_navigation_has_all_pages() -> None:
    def files(entry: Any) -> list[str]:
        if isinstance(entry, str):
            return [entry]
        return [file for value in (entry.values() if isinstance(entry, dict) else entry) for file in files(value)]

    configuration = tomllib.loads((ROOT / "zensical.toml").read_text(encoding="utf-8"))
    sources = [ROOT / name for name in script().PUBLISHED]
    markdown = [source for source in sources if source.suffix == ".md"]
    markdown += [page for source in sources if source.is_dir() for page in source.rglob("*.md")]
    listed = files(configuration["project"]["nav"])
    assert sorted(listed) == sorted(page.relative_to(ROOT).as_posix() for page in markdown), "nav in zensical.toml"


def test_links_lead_to_files_of_the_site(site: Path) -> None:
    missing = []
    for page in pages(site):
        for link in re.findall(r'(?:href|src)="([^"]+)"', page.read_text(encoding="utf-8")):
            target = unquote(html.unescape(link)).partition("#")[0].partition("?")[0]
            # 404.html is served for any path, so its links begin at the root.
            folder = site if page.name == "404.html" else page.parent
            if target and not re.match(r"[a-z]+:", target) and not (folder / target.lstrip("/")).is_file():
                missing.append((page.relative_to(site).as_posix(), link))
    assert not missing


def test_nothing_is_loaded_from_the_network(site: Path) -> None:
    loads = re.compile(
        r"""(?:\bsrc|<link[^>]*\bhref)=["']?(?:https?:)?//[^"' >]+|url\(["']?(?:https?:)?//[^)]+|@import[^;]+"""
    )
    found = [
        (file.relative_to(site).as_posix(), match)
        for pattern in ("*.html", "*.css", "*.svg")
        for file in site.rglob(pattern)
        for match in loads.findall(file.read_text(encoding="utf-8"))
        if 'rel="canonical"' not in match
    ]
    assert not found


def test_search_index_has_the_reference(site: Path) -> None:
    locations = {item["location"] for item in json.loads((site / "search.json").read_text(encoding="utf-8"))["items"]}
    assert "docs/reference/clients.html#codex_backend_sdk.OpenAI" in locations
    assert "docs/tools.html" in locations


# A frame of the width of a phone opens one page after the other. Tables and pictures must not be wider than their
# column, even where the theme would let the reader scroll them.
MEASURE = """
<iframe scrolling="no" width="WIDTH" height="800" style="border: 0"></iframe>
<pre id="result"></pre>
<script>
(async () => {
  const frame = document.querySelector("iframe");
  const result = {};
  for (const page of PAGES) {
    await new Promise((resolve) => { frame.onload = resolve; frame.src = page; });
    const root = frame.contentDocument.documentElement;
    const column = root.querySelector("article").getBoundingClientRect();
    const wide = [...root.querySelectorAll("article table, article img")]
      .filter((element) => element.getBoundingClientRect().right > column.right)
      .map((element) => element.textContent.trim().slice(0, 60) || element.src);
    result[page] = [frame.contentWindow.innerWidth, root.scrollWidth, wide];
  }
  document.getElementById("result").textContent = JSON.stringify(result);
})();
</script>
"""


@pytest.mark.timeout(180)
@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
def test_pages_fit_a_phone(site: Path, tmp_path: Path) -> None:
    names = [page.relative_to(site).as_posix() for page in pages(site) if page.name != "404.html"]
    measure = MEASURE.replace("WIDTH", str(PHONE_WIDTH)).replace(
        "PAGES", json.dumps([f"{site.as_uri()}/{n}" for n in names])
    )
    (tmp_path / "measure.html").write_text(f"<!doctype html><meta charset='utf-8'>{measure}", encoding="utf-8")
    command = [
        str(CHROMIUM),
        *("--headless=new", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files"),
        *(f"--user-data-dir={tmp_path / 'profile'}", "--timeout=120000", "--virtual-time-budget=600000"),
        *("--dump-dom", (tmp_path / "measure.html").as_uri()),
    ]
    dom = subprocess.run(command, capture_output=True, text=True, timeout=150, check=True).stdout
    measured = json.loads(html.unescape(re.search(r'<pre id="result">(.+?)</pre>', dom, re.DOTALL)[1]))
    assert len(measured) == len(names)
    assert {width for width, _, _ in measured.values()} == {PHONE_WIDTH}
    assert not {page: row for page, row in measured.items() if row[1] > PHONE_WIDTH or row[2]}
