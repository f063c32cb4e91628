"""The servers that the bench starts: ours, and the peers beside it."""
