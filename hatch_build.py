"""Metadata of the distributions that depend on where the repository is: the README's links, and the project URLs.

PyPI shows the README without the files that its relative links lead to. A build on GitHub Actions makes the links
absolute, and adds the URLs of that repository. Any other build removes them, and leaves their text.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

__all__ = ["RepositoryMetadata", "project_urls", "readme_for_pypi"]

_RELATIVE_LINK = re.compile(r"(?P<picture>!?)\[(?P<text>[^\]]*)\]\((?!https?:|#)(?P<path>[^)]+)\)\n?")


class RepositoryMetadata(MetadataHookInterface):
    """Set the dynamic members `readme` and `urls` of `[project]`."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Set the members, for the repository that the variables of GitHub Actions name."""
        readme = Path(self.root, "README.md").read_text(encoding="utf-8")
        metadata["readme"] = {"content-type": "text/markdown", "text": readme_for_pypi(readme, os.environ)}
        metadata["urls"] = project_urls(os.environ)


def readme_for_pypi(readme: str, environment: Mapping[str, str]) -> str:
    """Return the README without relative links."""
    repository = _repository(environment)
    revision = environment.get("GITHUB_REF_NAME", "main")

    def replace(match: re.Match[str]) -> str:
        end = "\n" if match[0].endswith("\n") else ""
        if repository is None:
            return "" if match["picture"] else match["text"] + end
        # A page of GitHub shows a Markdown file; a picture needs the file itself.
        kind = "raw" if match["picture"] else "blob"
        return f"{match['picture']}[{match['text']}]({repository}/{kind}/{revision}/{match['path']}){end}"

    return _RELATIVE_LINK.sub(replace, readme)


def project_urls(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the project URLs by name."""
    urls = {
        "Official OpenAI client": "https://github.com/openai/openai-python",
        "Codex CLI": "https://github.com/openai/codex",
    }
    repository = _repository(environment)
    if repository is None:
        return urls
    return {
        "Source": repository,
        "Documentation": f"{repository}/tree/main/docs",
        "Changelog": f"{repository}/blob/main/CHANGELOG.md",
        "Issues": f"{repository}/issues",
        "Security": f"{repository}/security/policy",
        **urls,
    }


def _repository(environment: Mapping[str, str]) -> str | None:
    name = environment.get("GITHUB_REPOSITORY")
    return f"{environment.get('GITHUB_SERVER_URL', 'https://github.com')}/{name}" if name else None
