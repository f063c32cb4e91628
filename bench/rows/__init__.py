"""The rows of docs/benchmarks.md: each module has `run(folder) -> Row`, bounded in count and time."""
