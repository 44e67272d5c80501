"""Write the results of a run: bench/results.json, and the table and plots of docs/performance.md."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import plots
from bench.environments import ENVIRONMENTS, ROOT, ready
from bench.judged import medians

if TYPE_CHECKING:
    from bench.judged import Verdict
    from bench.rows import Row
    from bench.session import Figures

__all__ = ["Results", "line", "table"]

RESULTS = ROOT / "bench" / "results.json"
PAGE = ROOT / "docs" / "performance.md"
PLOTS = ROOT / "docs" / "performance"
_BEGIN, _END = "<!-- make bench writes this: begin -->", "<!-- end -->"
# Packages that influence the figures; their versions are stored with the results.
_PACKAGES = ("openai", "pydantic", "pydantic-core", "httpx2", "httpx", "requests", "jiter")
_VERSIONS = (
    "import json, sys; from importlib.metadata import distributions as d;"
    "print(json.dumps({i.metadata['Name'].lower(): i.version for i in d()}))"
)


@dataclass
class Results:
    """The results of a run so far."""

    about: dict[str, Any]
    begun: float
    rows: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def begin(cls) -> Results:
        """Start a run: record the machine and the versions, without user names or paths."""
        return cls({"machine": _machine(), "versions": _versions()}, time.monotonic())

    def add(self, row: Row, figures: dict[str, Figures], verdicts: list[Verdict]) -> None:
        """Record the figures and verdicts of a row."""
        middles = medians(figures)
        jobs = [
            {
                "label": job.label,
                "name": job.name or job.peer,
                "at": job.at,
                "medians": {metric: _rounded(value) for metric, value in middles[job.label].items()},
                "rounds": {metric: [_rounded(v) for v in values] for metric, values in figures[job.label].items()},
            }
            for job in row.jobs
        ]
        named = {"name": row.name, "title": row.title, "unit": row.unit, "metric": row.metric}
        self.rows.append({**named, "bars": [verdict.as_json() for verdict in verdicts], "jobs": jobs})

    @property
    def asked(self) -> int:
        """Number of bars."""
        return sum(len(row["bars"]) for row in self.rows)

    @property
    def met(self) -> int:
        """Number of bars that were met."""
        return sum(bar["met"] for row in self.rows for bar in row["bars"])

    def write(self) -> list[Path]:
        """Write the results, the plots and the table of the page; return the paths that were written."""
        self.about["machine"]["load_at_end"] = _load()
        self.about["seconds"] = round(time.monotonic() - self.begun)
        RESULTS.write_text(json.dumps({**self.about, "rows": self.rows}, indent=1, ensure_ascii=False) + "\n")
        render(json.loads(RESULTS.read_text()))
        return [RESULTS, PAGE, PLOTS]


def render(results: dict[str, Any], *, page: Path = PAGE, folder: Path = PLOTS) -> None:
    """Write the plots into the folder, and the table into the page between its two markers."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, svg in plots.draw({row["name"]: row for row in results["rows"]}).items():
        (folder / f"{name}.svg").write_text(svg)
    before, _, rest = page.read_text().partition(_BEGIN)
    _, _, after = rest.partition(_END)
    page.write_text(f"{before}{_BEGIN}\n\n{table(results)}\n{_END}{after}")


def line(row: Row, middles: dict[str, dict[str, float]], verdicts: list[Verdict]) -> str:
    """Return the results of a row as progress output."""
    lines = [f"{row.name}: {row.title}"]
    lines += [
        f"    {'met    ' if v.is_met else 'NOT MET'} {v.asks}: {v.found} (rounds {v.low:.3g} to {v.high:.3g})"
        for v in verdicts
    ]
    lines += [f"        {label}: " + _listed(figures) for label, figures in middles.items()]
    return "\n".join(lines)


def _listed(figures: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in figures.items())


def table(results: dict[str, Any]) -> str:
    """Return the Markdown table of a run and a line about the machine."""
    lines = ["| measurement | this package | peers | bar | result | met |", "|---|---|---|---|---|---|"]
    for row in results["rows"]:
        for number, bar in enumerate(row["bars"]):
            cells = (row["title"], *_compared(row)) if number == 0 else ("", "", "")
            lines.append(
                f"| {' | '.join(cells)} | {bar['bar']} | {bar['found']} | {'yes' if bar['met'] else '**no**'} |"
            )
    machine = results["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in results["versions"]["ours"].items())
    lines += [
        "",
        f"{machine['cpu']}, {machine['cpus']} cores, {machine['system']}, Python {machine['python']}; {versions}; "
        f"load {machine['load']} at the start and {machine['load_at_end']} at the end; {results['seconds']} s.",
    ]
    return "\n".join(lines) + "\n"


def _with_unit(value: float, row: dict[str, Any]) -> str:
    return f"{_number(value)} {row['unit']}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def _compared(row: dict[str, Any]) -> tuple[str, str]:
    """Return our figure and those of the peers. Points of a curve belong to the plots only."""
    shown = {job["name"]: job["medians"][row["metric"]] for job in row["jobs"] if job["at"] is None}
    others = ", ".join(f"{name} {_number(value)}" for name, value in shown.items() if name != "ours")
    return _with_unit(shown["ours"], row) if "ours" in shown else "", others


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
    facts = Path("/proc/cpuinfo")
    lines = facts.read_text().splitlines() if facts.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


def _versions() -> dict[str, dict[str, str]]:
    return {peer: _versions_of(peer) for peer in ENVIRONMENTS}


def _versions_of(peer: str) -> dict[str, str]:
    output = subprocess.run([str(ready(peer)), "-c", _VERSIONS], capture_output=True, text=True, check=True).stdout
    installed: dict[str, str] = json.loads(output)
    wanted = (*_PACKAGES, "codex-backend-sdk", "login-with-chatgpt")
    return {name: installed[name] for name in wanted if name in installed}
