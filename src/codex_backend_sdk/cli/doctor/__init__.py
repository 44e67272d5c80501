"""The command `codex-backend doctor`: a table of checks, the probes that they share, and the report."""
