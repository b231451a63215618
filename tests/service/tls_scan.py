"""What testssl.sh finds at both proxies as service/dist ships them, with a service behind each. Run by
`make scan-tls`; it takes minutes."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any, Dict, List

import pytest
from certificates import make_certificates
from conftest import Started
from dynoscaled import wait_for
from fronts import FRONTS, Front, behind

TESTSSL = shutil.which("testssl")
# Of our own authority and of no name server: what a certificate for tests can't have.
OF_THE_CERTIFICATE = {
    "cert_crlDistributionPoints", "cert_ocspURL", "OCSP_stapling", "DNS_CAArecord", "certificate_transparency",
    "cert_revocation", "cert_expirationStatus", "cert_extlifeSpan", "cert_validityPeriod", "cert_trust",
    "cert_chain_of_trust", "cert_commonName", "intermediate_cert_badOCSP",
}  # fmt: skip
# Each suite that is offered is strong, so that the client may choose by what its processor does best; and what
# is compressed holds no secret (api_call's `packs`).
BY_CHOICE = {"cipher_order", "BREACH"}
WORSE_THAN_LOW = {"MEDIUM", "HIGH", "CRITICAL"}


@pytest.mark.skipif(not TESTSSL, reason="testssl.sh is not installed (apt-get install testssl.sh)")
@pytest.mark.parametrize("kind", FRONTS)
def test_the_scanner_finds_nothing(kind: type[Front], serve: Started, tmp_path: Path) -> None:
    certificates = make_certificates(tmp_path)
    service = behind(serve)
    found = tmp_path / "found.json"
    with kind(tmp_path, service.port, certificates).start() as front:
        wait_for(lambda: front.request("GET", "/healthz").status == 200, "the proxy finds the service")
        subprocess.run(
            [str(TESTSSL), "--quiet", "--color", "0", "--warnings", "off", "--openssl-timeout", "60",
             "--add-ca", certificates.authority, "--jsonfile", str(found), f"127.0.0.1:{front.port}"],
            stdin=subprocess.DEVNULL, cwd=tmp_path,
        )  # fmt: skip
    results: List[Dict[str, Any]] = json.loads(found.read_text())
    assert {"TLS1_2", "TLS1_3", "heartbleed"} <= {one["id"] for one in results}
    known = OF_THE_CERTIFICATE | BY_CHOICE
    bad = [one for one in results if one["severity"] in WORSE_THAN_LOW and one["id"].split(" ")[0] not in known]
    assert not bad, bad
