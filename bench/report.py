"""Write the results of a run: bench/results.json, the table of docs/performance.md, and the plots of that page."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import plots
from bench.bar_verdicts import medians
from bench.environments import ENVIRONMENTS, NPM_PEERS, ROOT, interpreter_of, npm_version

if TYPE_CHECKING:
    from bench.bar_verdicts import BarVerdict
    from bench.rows import Row
    from bench.session import Figures

__all__ = ["Results", "progress", "replace_between", "table"]

RESULTS = ROOT / "bench" / "results.json"
PAGE = ROOT / "docs" / "performance.md"
PLOTS = ROOT / "docs" / "performance"
MARKERS = "<!-- make bench writes this: begin -->", "<!-- end -->"
# The packages that influence the figures. Their versions are stored with the results.
_PACKAGES = ("openai", "pydantic", "pydantic-core", "httpx2", "httpx", "requests", "jiter", "starlette", "uvicorn")
_PRINT_VERSIONS = (
    "import json, sys; from importlib.metadata import distributions as d;"
    "print(json.dumps({i.metadata['Name'].lower(): i.version for i in d()}))"
)


@dataclass
class Results:
    """The results of a run."""

    conditions: dict[str, Any]
    started_at: float
    rows: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def begin(cls) -> Results:
        """Start a run. Record the machine and the versions, but no user names and no paths."""
        return cls({"machine": _machine(), "versions": _versions()}, time.monotonic())

    def add(self, row: Row, figures: dict[str, Figures], verdicts: list[BarVerdict]) -> None:
        """Record the figures and verdicts of a row."""
        job_medians = medians(figures)
        jobs = [
            {
                "label": job.label,
                "name": job.name or job.peer,
                "point": job.point,
                "medians": {metric: _rounded(value) for metric, value in job_medians[job.label].items()},
                "rounds": {metric: [_rounded(v) for v in values] for metric, values in figures[job.label].items()},
            }
            for job in row.jobs
        ]
        description = {"name": row.name, "title": row.title, "unit": row.unit, "metric": row.metric}
        if row.also:
            description["also"] = [asdict(shown) for shown in row.also]
        self.rows.append({**description, "bars": [verdict.as_json() for verdict in verdicts], "jobs": jobs})

    @property
    def bar_count(self) -> int:
        """The number of bars."""
        return sum(len(row["bars"]) for row in self.rows)

    @property
    def bars_met(self) -> int:
        """The number of bars that are met."""
        return sum(bar["met"] for row in self.rows for bar in row["bars"])

    def write(self) -> list[Path]:
        """Write the results, the plots and the table. Return the paths."""
        self.conditions["machine"]["load_at_end"] = _load()
        self.conditions["seconds"] = round(time.monotonic() - self.started_at)
        RESULTS.write_text(json.dumps({**self.conditions, "rows": self.rows}, indent=1, ensure_ascii=False) + "\n")
        render(json.loads(RESULTS.read_text()))
        return [RESULTS, PAGE, PLOTS]


def render(results: dict[str, Any], *, page: Path = PAGE, folder: Path = PLOTS) -> None:
    """Write the plots into the folder, and the table between the markers of the page."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, svg in plots.draw({row["name"]: row for row in results["rows"]}).items():
        (folder / f"{name}.svg").write_text(svg)
    replace_between(MARKERS, page, table(results))


def replace_between(markers: tuple[str, str], page: Path, text: str) -> None:
    """Replace what stands between two markers in a page."""
    begin, end = markers
    before, _, rest = page.read_text(encoding="utf-8").partition(begin)
    _, _, after = rest.partition(end)
    page.write_text(f"{before}{begin}\n\n{text}\n{end}{after}", encoding="utf-8")


def progress(row: Row, job_medians: dict[str, dict[str, float]], verdicts: list[BarVerdict]) -> str:
    """Return the results of a row as text for the terminal."""
    lines = [f"{row.name}: {row.title}"]
    lines += [
        f"    {'met    ' if v.is_met else 'NOT MET'} {v.bar}: {v.result} (rounds {v.low:.3g} to {v.high:.3g})"
        for v in verdicts
    ]
    lines += [
        f"        {label}: " + ", ".join(f"{name} {value:.4g}" for name, value in figures.items())
        for label, figures in job_medians.items()
    ]
    return "\n".join(lines)


def table(results: dict[str, Any]) -> str:
    """Return the Markdown table of a run, with a line about the machine."""
    lines = ["| measurement | this package | peers | bar | result | met |", "|---|---|---|---|---|---|"]
    for row in results["rows"]:
        for number, bar in enumerate(row["bars"]):
            cells = (row["title"], *_figures_of(row, row)) if number == 0 else ("", "", "")
            lines.append(
                f"| {' | '.join(cells)} | {bar['bar']} | {bar['result']} | {'yes' if bar['met'] else '**no**'} |"
            )
        for shown in row.get("also", ()):
            lines.append(f"| {' | '.join((shown['title'], *_figures_of(row, shown)))} | | | |")
    machine = results["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in results["versions"]["ours"].items())
    lines += [
        "",
        f"{machine['cpu']}, {machine['cpus']} cores, {machine['system']}, Python {machine['python']}; {versions}; "
        f"load {machine['load']} at the start and {machine['load_at_end']} at the end; {results['seconds']} s.",
    ]
    return "\n".join(lines) + "\n"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def _figures_of(row: dict[str, Any], metric: dict[str, Any]) -> tuple[str, str]:
    """Return the figure of this package and those of its peers. Points of a curve appear in the plots only."""
    shown = {job["name"]: job["medians"][metric["metric"]] for job in row["jobs"] if job["point"] is None}
    others = ", ".join(f"{name} {_number(value)}" for name, value in shown.items() if name != "ours")
    return f"{_number(shown['ours'])} {metric['unit']}" if "ours" in shown else "", others


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")


def _machine() -> dict[str, Any]:
    return {
        "cpu": _cpu(),
        "cpus": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "load": _load(),
    }


def _load() -> float | None:
    return round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


def _versions() -> dict[str, dict[str, str]]:
    """Return the versions of the packages that matter, by peer."""
    npm_versions = {peer: {peer: npm_version(peer)} for peer in NPM_PEERS}
    return {peer: _versions_of(peer) for peer in ENVIRONMENTS} | npm_versions


def _versions_of(peer: str) -> dict[str, str]:
    output = subprocess.run(
        [str(interpreter_of(peer)), "-c", _PRINT_VERSIONS], capture_output=True, text=True, check=True
    ).stdout
    installed: dict[str, str] = json.loads(output)
    wanted = (*_PACKAGES, "codex-backend-sdk", "login-with-chatgpt", "litellm")
    return {name: installed[name] for name in wanted if name in installed}
