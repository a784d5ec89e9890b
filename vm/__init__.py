"""A party's process, the local launcher, inputs and outputs, counters, reports."""

VERSION = "0.1.0"  # the release: in the metadata, and compared by the parties
    "0.1.0"  # of the release: the package's metadata and the parties' handshake take it from here
)
