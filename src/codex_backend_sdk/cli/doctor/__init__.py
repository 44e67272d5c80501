"""The command `codex-backend doctor`: the checks, their shared context, and the report."""
