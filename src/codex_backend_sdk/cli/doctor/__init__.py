"""What `codex-backend doctor` looks at: one module for each thing, and `running`, which keeps them apart."""
