"""A party's process, the local launcher, inputs and outputs, counters, reports."""

VERSION = "0.1.0"  # the release: in the package's metadata, and compared by the parties
