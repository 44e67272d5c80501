"""Build the two pages that the browser shows at the end of a login. They load no resources and run no scripts."""

from __future__ import annotations

from html import escape
from string import Template
from typing import Final

__all__ = ["failure_page", "success_page"]

_PAGE: Final = Template("""\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>$title</title>
<style>
:root { --ground: #f4f5f7; --card: #fff; --text: #16181d; --soft: #5c6370; --line: #e3e5ea; --mark: $light; }
@media (prefers-color-scheme: dark) {
  :root { --ground: #101216; --card: #1a1d23; --text: #eceef2; --soft: #9aa2b1; --line: #2b2f38; --mark: $dark; }
}
* { box-sizing: border-box; margin: 0; }
body { min-height: 100vh; display: grid; place-items: center; padding: 24px; background: var(--ground);
  color: var(--text); font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
main { width: 100%; max-width: 440px; padding: 44px 36px 32px; background: var(--card); text-align: center;
  border: 1px solid var(--line); border-radius: 18px; box-shadow: 0 12px 40px rgb(0 0 0 / .08); }
svg { width: 64px; height: 64px; color: var(--mark); }
h1 { margin: 20px 0 8px; font-size: 24px; font-weight: 650; letter-spacing: -.01em; }
p { color: var(--soft); overflow-wrap: anywhere; }
code { font: 13px ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
footer { margin-top: 28px; padding-top: 18px; border-top: 1px solid var(--line); font-size: 13px; color: var(--soft); }
</style>
</head>
<body>
<main>
<svg viewBox="0 0 64 64" fill="none" stroke="currentColor" stroke-width="4" stroke-linecap="round"
 stroke-linejoin="round" aria-hidden="true"><circle cx="32" cy="32" r="28" opacity=".25"/><path d="$drawing"/></svg>
<h1>$title</h1>
<p>$message</p>
$detail
<footer>$footer</footer>
</main>
</body>
</html>
""")

_TICK: Final = "M21 33l8 8 15-17"
_CROSS: Final = "M23 23l18 18M41 23L23 41"


def success_page() -> str:
    """Return the page for a successful login."""
    return _PAGE.substitute(
        title="You are logged in",
        message="Your login is stored. You can close this tab and return to your program.",
        detail="",
        footer="codex-backend-sdk",
        light="#0a7d4f",
        dark="#3ecf8e",
        drawing=_TICK,
    )


def failure_page(message: str, *, code: str | None) -> str:
    """Return the page for a failed login. `message` and `code` are escaped, because the issuer may supply them."""
    return _PAGE.substitute(
        title="Login failed",
        message=escape(message),
        detail=f'<p style="margin-top:12px"><code>{escape(code)}</code></p>' if code else "",
        footer="You can close this tab and try again from your program.",
        light="#c0362c",
        dark="#ff7a70",
        drawing=_CROSS,
    )
