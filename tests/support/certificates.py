"""A certificate authority of a test's own, and what it signs: keys and certificates made with openssl."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

_CONFIG = """\
[ca]
default_ca = own
[own]
new_certs_dir = {folder}
database = {folder}/index
serial = {folder}/serial
default_md = sha256
policy = any
copy_extensions = copy
unique_subject = no
[any]
commonName = supplied
"""

PAST = ("20200101000000Z", "20200201000000Z")
NOW = ("20200101000000Z", "20491231000000Z")


@dataclass(frozen=True)
class Issued:
    """A certificate, its private key, and both in one file, as Kafka takes them; all PEM."""

    certificate: Path
    key: Path
    both: Path


class Authority:
    """Signs certificates; `certificate` is what clients must trust to believe them."""

    def __init__(self, folder: Path, name: str = "adtally test") -> None:
        folder.mkdir(parents=True)
        self._folder = folder
        self._config = folder / "ca.conf"
        self._config.write_text(_CONFIG.format(folder=folder))
        (folder / "index").touch()
        (folder / "serial").write_text("1000\n")
        self._key = folder / "ca.key"
        self.certificate = folder / "ca.pem"
        self._openssl("req", "-x509", "-subj", f"/CN={name}", "-days", "3650", "-out", self.certificate, *self._new(self._key))

    def issue(self, name: str, host: str = "IP:127.0.0.1", between: tuple[str, str] = NOW, password: str = "") -> Issued:
        """A certificate for `name` that is good for `host` and `between` two times; `password`: the key is encrypted with it."""
        made = Issued(*(self._folder / f"{name}.{ending}" for ending in ("pem", "key", "both.pem")))
        request = self._folder / f"{name}.csr"
        plain = self._folder / f"{name}.plain.key"
        extension = f"subjectAltName={host}"
        self._openssl("req", "-new", "-subj", f"/CN={name}", "-addext", extension, "-out", request, *self._new(plain))
        times = ("-startdate", between[0], "-enddate", between[1])
        files = ("-in", request, "-out", made.certificate, "-cert", self.certificate, "-keyfile", self._key)
        self._openssl("ca", "-batch", "-notext", "-config", self._config, *times, *files)
        if password:
            self._openssl("pkcs8", "-topk8", "-in", plain, "-passout", "stdin", "-out", made.key, given=password)
        else:
            made.key.write_bytes(plain.read_bytes())
        made.both.write_bytes(plain.read_bytes() + made.certificate.read_bytes())
        return made

    @staticmethod
    def _new(key: Path) -> tuple[str | Path, ...]:
        return ("-newkey", "rsa:2048", "-nodes", "-keyout", key)

    @staticmethod
    def _openssl(*arguments: str | Path, given: str = "") -> None:
        done = subprocess.run(["openssl", *map(str, arguments)], input=given, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
