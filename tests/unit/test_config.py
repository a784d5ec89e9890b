"""parties.toml: what is read, and the key named in every complaint."""

from __future__ import annotations

from pathlib import Path

import pytest

from sequester.vm import config, runs
from sequester.vm.errors import ConfigError
from sequester.vm.native import Protocol

GOOD = """
protocol = "rep3"
timeout = 5
seed = 7
program_hash = "{hash}"
ca = "keys/ca.pem"
cert = "keys/party-{{i}}.pem"
key = "keys/party-{{i}}.key"
[[party]]
host = "10.0.0.1"
port = 7700
[[party]]
host = "10.0.0.2"
port = 7700
[[party]]
host = "b.example"
port = 7701
""".format(hash="ab" * 32)


def write(folder: Path, text: str) -> Path:
    keys = folder / "keys"
    keys.mkdir(exist_ok=True)
    for name in ("ca.pem", "party-1.pem", "party-1.key"):
        (keys / name).touch()
    (folder / "parties.toml").write_text(text)
    return folder / "parties.toml"


def test_reads_everything(tmp_path: Path) -> None:
    c = config.load(write(tmp_path, GOOD), 1)
    assert c.tls is not None
    assert c.tls.cert == tmp_path / "keys/party-1.pem"
    assert c.parties[2] == config.Address("b.example", 7701)
    assert (c.protocol, c.timeout, c.connect_timeout, c.seed) == ("rep3", 5.0, 60.0, 7)
    assert (c.program_hash, c.security) == ("ab" * 32, "semi-honest")


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("seed = 7", "seed = -1", "seed: -1 is not allowed"),
        ("seed = 7", "seed = true", "seed: True is not allowed"),
        ("seed = 7", 'security = "strong"', "security: 'strong' is not allowed"),
        ("seed = 7", "sede = 7", "sede: no such key"),
        ("timeout = 5", "timeout = 0", "timeout: 0 is not allowed"),
        ('protocol = "rep3"', "", "protocol: is missing"),
        ("abab", "ABAB", "program_hash: '.*' is not allowed"),
        ("port = 7701", "port = 77010", r"\[\[party\]\] 2: port: 77010 is not allowed"),
        ('host = "10.0.0.1"', "", r"\[\[party\]\] 0: host: is missing"),
        ("keys/ca.pem", "keys/none.pem", "ca: no file"),
        ('ca = "keys/ca.pem"', "", "ca: is missing"),
        ("seed = 7", "seed = ", "parties.toml: .*line 4"),
    ],
)
def test_names_the_key(tmp_path: Path, old: str, new: str, complaint: str) -> None:
    path = write(tmp_path, GOOD.replace(old, new, 1))
    with pytest.raises(ConfigError, match=complaint):
        config.load(path, 1)


def test_no_such_party(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no party 3"):
        config.load(write(tmp_path, GOOD), 3)


def test_security_pinned() -> None:
    weak = Protocol("emulate", "", "none (insecure)", 1, 1, (0, 1), (64,), True, True, False, False)
    fair = Protocol("rep3", "", "semi-honest", 3, 3, (1, 2), (64,), False, False, False, False)
    runs.check_security(fair, "semi-honest")
    for protocol, least in ((weak, "semi-honest"), (fair, "malicious")):
        with pytest.raises(ConfigError, match="key security asks for"):
            runs.check_security(protocol, least)
