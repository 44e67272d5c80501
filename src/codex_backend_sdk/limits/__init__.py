"""The plan's usage limits: the types that users receive, the parsers, and the tracker that every response feeds."""
