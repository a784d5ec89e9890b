"""The parts of scripts/bench.py, which is the only one to run."""
