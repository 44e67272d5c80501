"""Print responses on a terminal: filtered, rendered while they arrive, and only by appending."""
