"""Usage limits of the plan: types, parsers, and the tracker that records every response."""
