"""TLS certificates for tests, made by the `openssl` command when they are needed.

certificates = make_certificates(directory)
certificates.valid       # for localhost, 127.0.0.1 and ::1, signed by `certificates.authority`
certificates.expired     # as valid, but until yesterday
certificates.wrong_host  # signed by the authority, for another name
certificates.self_signed # for localhost, signed by nobody else

Each is a pair of paths (certificate, key) as `Receiver(tls=...)` takes it. A client trusts the
authority by SSL_CERT_FILE=certificates.authority.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Sequence, Tuple, Union

Pair = Tuple[str, str]

LOCAL = "DNS:localhost,IP:127.0.0.1,IP:::1"
ELSEWHERE = "DNS:elsewhere.example"

# `openssl ca` is the one command of OpenSSL before 3.5 that sets both ends of a validity.
CA_CONFIG = """
[ca]
default_ca = tests
[tests]
database = {directory}/index.txt
new_certs_dir = {directory}
rand_serial = yes
unique_subject = no
copy_extensions = copy
default_md = sha256
policy = anything
x509_extensions = keys
[anything]
commonName = supplied
[keys]
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
"""

# As strict as Python checks from 3.13 on: who signs says that it may, and all say which key.
AUTHORITY = [
    "basicConstraints=critical,CA:TRUE",
    "keyUsage=critical,keyCertSign",
    "subjectKeyIdentifier=hash",
]


@dataclass(frozen=True)
class Certificates:
    authority: str
    valid: Pair
    expired: Pair
    wrong_host: Pair
    self_signed: Pair


def make_certificates(directory: Union[str, Path]) -> Certificates:
    """Makes all of them in `directory`, which exists. RuntimeError where openssl fails."""
    workshop = _Workshop(Path(directory))
    return Certificates(
        authority=workshop.authority[0],
        valid=workshop.signed("valid", LOCAL, "20200101000000Z", "20990101000000Z"),
        expired=workshop.signed("expired", LOCAL, "20200101000000Z", "20210101000000Z"),
        wrong_host=workshop.signed("wrong_host", ELSEWHERE, "20200101000000Z", "20990101000000Z"),
        self_signed=workshop.own("self_signed", f"subjectAltName={LOCAL}"),
    )


class _Workshop:
    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._config = directory / "ca.cnf"
        self._config.write_text(CA_CONFIG.format(directory=directory))
        (directory / "index.txt").touch()
        self.authority = self.own("authority", *AUTHORITY)

    def own(self, name: str, *extensions: str) -> Pair:
        """A certificate that signs itself."""
        certificate, key = self._paths(name)
        self._request(name, certificate, key, extensions, "-x509", "-days", "3650")
        return certificate, key

    def signed(self, name: str, names: str, start: str, end: str) -> Pair:
        """A certificate for `names` by the authority."""
        certificate, key = self._paths(name)
        request = str(self._directory / f"{name}.csr")
        self._request(name, request, key, [f"subjectAltName={names}"])
        signer, signer_key = self.authority
        arguments = ["-batch", "-notext", "-config", str(self._config)]
        arguments += ["-cert", signer, "-keyfile", signer_key, "-in", request, "-out", certificate]
        _openssl("ca", *arguments, "-startdate", start, "-enddate", end)
        return certificate, key

    def _request(
        self, name: str, out: str, key: str, extensions: Sequence[str], *more: str
    ) -> None:
        arguments = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        arguments += ["-subj", f"/CN={name}", "-keyout", key, "-out", out]
        for extension in extensions:
            arguments += ["-addext", extension]
        _openssl("req", *arguments, *more)

    def _paths(self, name: str) -> Pair:
        return str(self._directory / f"{name}.pem"), str(self._directory / f"{name}.key")


def _openssl(*arguments: str) -> None:
    try:
        done = subprocess.run(["openssl", *arguments], capture_output=True, text=True, timeout=60)
    except FileNotFoundError:
        raise RuntimeError("openssl is not installed; install the package openssl") from None
    if done.returncode != 0:
        raise RuntimeError(f"openssl {' '.join(arguments)} failed: {done.stderr.strip()}")
