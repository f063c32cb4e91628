"""The rows of BENCHMARKS: each module has `run(folder) -> Row`, bounded in count and time."""
