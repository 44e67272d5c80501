"""Conversations: a history in memory and on disk, the calls that continue it, and its compaction."""
