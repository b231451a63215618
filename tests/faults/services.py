"""Ways to reach the service, each with a way in which it fails and recovers."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import struct
import subprocess
import threading
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from certificates import Certificates
from namespaces import NoMounts, own_mounts
from receiver import ReceiverProcess
from served import PASSWORD, TOKEN

Behaviour = Mapping[str, Any]
WELL: Behaviour = {"mode": "ok"}


class Service:
    """Over HTTP, on an IPv4 address. `behaviour`: how the receiver answers while it fails."""

    host = "127.0.0.1"
    wrapper: Sequence[str] = ()  # the command that must run the app

    def __init__(self, behaviour: Behaviour = WELL) -> None:
        self.behaviour = behaviour
        self.receiver = ReceiverProcess()

    @staticmethod
    def missing() -> Optional[str]:
        """Why this machine can't have it; None if it can."""
        return None

    def start(self, directory: Path, certificates: Certificates) -> None:
        self.receiver = ReceiverProcess(self.host)
        self.receiver.start()

    def fail(self) -> None:
        self.receiver.behave(**self.behaviour)

    def recover(self) -> None:
        self.receiver.behave(**WELL)

    def stop(self) -> None:
        self.receiver.stop()

    @property
    def settings(self) -> Dict[str, str]:
        return {"DYNOSCALE_URL": f"{self.receiver.url}/{TOKEN}"}


class OverIpv6(Service):
    host = "::1"

    @staticmethod
    def missing() -> Optional[str]:
        try:
            with socket.socket(socket.AF_INET6) as probe:
                probe.bind(("::1", 0))
        except OSError as error:
            return f"this machine has no IPv6 on loopback: {error}"
        return None


# ---- TLS -------------------------------------------------------------------------------------


class OverTls(Service):
    """SSL_CERT_FILE or SSL_CERT_DIR names the authority. A service that fails by a bad certificate
    recovers by a good one."""

    def __init__(
        self, behaviour: Behaviour = WELL, bad: str = "", known_by: str = "SSL_CERT_FILE"
    ) -> None:
        super().__init__(behaviour)
        self._bad = bad
        self._known_by = known_by

    def start(self, directory: Path, certificates: Certificates) -> None:
        self._certificates = certificates
        self._authority = certificates.authority
        if self._known_by == "SSL_CERT_DIR":
            self._authority = str(directory / "authorities")
            os.mkdir(self._authority)
            shutil.copy(certificates.authority, self._authority)
            subprocess.run(["openssl", "rehash", self._authority], check=True)
        self.receiver = ReceiverProcess(tls=certificates.valid)
        self.receiver.start()

    def _show(self, certificate: str) -> None:
        port = int(self.receiver.url.rpartition(":")[2])
        self.receiver.stop()
        pair = getattr(self._certificates, certificate)
        self.receiver = ReceiverProcess(port=port, tls=pair)
        self.receiver.start()

    def fail(self) -> None:
        if self._bad:
            self._show(self._bad)
        else:
            super().fail()

    def recover(self) -> None:
        if self._bad:
            self._show("valid")
        else:
            super().recover()

    @property
    def settings(self) -> Dict[str, str]:
        return {**super().settings, self._known_by: self._authority}


# ---- Proxies ---------------------------------------------------------------------------------


class ByProxy(Service):
    """A host without an address, through an HTTP proxy, which is the receiver itself."""

    variable = "http_proxy"

    @property
    def settings(self) -> Dict[str, str]:
        proxy = self.receiver.url.replace("//", f"//user:{PASSWORD}@")
        return {"DYNOSCALE_URL": f"http://service.invalid/{TOKEN}", self.variable: proxy}


class ByAnyProxy(ByProxy):
    variable = "ALL_PROXY"


class PastProxy(Service):
    """With no_proxy; the proxy would refuse."""

    @property
    def settings(self) -> Dict[str, str]:
        proxies = {"http_proxy": "http://127.0.0.1:1", "no_proxy": "elsewhere.example,127.0.0.1"}
        return {**super().settings, **proxies}


class ByTunnel(OverTls):
    """HTTPS through a proxy's CONNECT."""

    def start(self, directory: Path, certificates: Certificates) -> None:
        super().start(directory, certificates)
        self.proxy = Tunnels().start()

    def stop(self) -> None:
        assert self.proxy.count > 0, "nothing went by the proxy"
        self.proxy.stop()
        super().stop()

    @property
    def settings(self) -> Dict[str, str]:
        return {**super().settings, "https_proxy": f"http://127.0.0.1:{self.proxy.port}"}


class Tunnels:
    """A proxy for CONNECT only, which connects to 127.0.0.1 whatever the name."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self.count = 0

    def start(self) -> Tunnels:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def stop(self) -> None:
        self._listening.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return  # stopped
            threading.Thread(target=self._tunnel, args=(client,), daemon=True).start()

    def _tunnel(self, client: socket.socket) -> None:
        with client, client.makefile("rb") as lines:
            method, target, _ = next(lines).split()
            while next(lines).strip():
                pass
            assert method == b"CONNECT", "TLS is not to be given to a proxy"
            with socket.create_connection(("127.0.0.1", int(target.rpartition(b":")[2]))) as server:
                self.count += 1
                client.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
                back = threading.Thread(target=_pass_on, args=(server, client), daemon=True)
                back.start()
                _pass_on(client, server)
                back.join()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass  # one side closed the connection


# ---- Names -----------------------------------------------------------------------------------

IN_NAMESPACE = """\
mount --bind "$1/resolv.conf" /etc/resolv.conf &&
mount --bind "$1/nsswitch.conf" /etc/nsswitch.conf &&
shift && exec "$@"
"""


class ByName(Service):
    """By a name that our own name server resolves. While it fails, it answers with `rcode` after
    some seconds; None: it does not answer."""

    def __init__(
        self, rcode: Optional[int], host: str = "127.0.0.1", after_seconds: float = 0
    ) -> None:
        super().__init__()
        self.host = host
        self._rcode = rcode
        self._after_seconds = after_seconds

    @staticmethod
    def missing() -> Optional[str]:
        try:
            own_mounts()
        except NoMounts as reason:
            return f"no name server of its own for one process: {reason}"
        return None

    def start(self, directory: Path, certificates: Certificates) -> None:
        super().start(directory, certificates)
        self._names = NameServer(self.host)
        (directory / "resolv.conf").write_text(f"nameserver {self._names.host}\n")
        (directory / "nsswitch.conf").write_text("hosts: dns\n")
        self.wrapper = [*own_mounts(), "sh", "-c", IN_NAMESPACE, "sh", str(directory)]

    def fail(self) -> None:
        self._names.rcode = self._rcode
        self._names.after_seconds = self._after_seconds

    def recover(self) -> None:
        self._names.rcode = 0
        self._names.after_seconds = 0

    def stop(self) -> None:
        self._names.stop()
        super().stop()

    @property
    def settings(self) -> Dict[str, str]:
        port = self.receiver.url.rpartition(":")[2]
        return {"DYNOSCALE_URL": f"http://service.example:{port}/{TOKEN}"}


class NameServer:
    """Resolves every name to one address (RFC 1035). An `rcode` other than 0 is answered instead
    (3: no such name); None: no answer."""

    TYPES = {socket.AF_INET: 1, socket.AF_INET6: 28}

    def __init__(self, address: str) -> None:
        self.rcode: Optional[int] = 0
        self.after_seconds = 0.0
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._type = self.TYPES[family]
        self._address = socket.inet_pton(family, address)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.host = self._bind()
        threading.Thread(target=self._serve, daemon=True).start()

    def _bind(self) -> str:
        """Binds an address of its own, since resolvers only ask port 53."""
        for number in range(1, 255):
            host = f"127.53.0.{number}"
            with contextlib.suppress(OSError):
                self._socket.bind((host, 53))
                return host
        raise OSError("port 53 can't be had on any of 127.53.0.1 to 127.53.0.254")

    def stop(self) -> None:
        self._socket.close()

    def _serve(self) -> None:
        while True:
            try:
                question, client = self._socket.recvfrom(512)
            except OSError:
                return  # stopped
            if self.rcode is not None:
                answer = self._answer(question, self.rcode)
                threading.Timer(self.after_seconds, self._send, (answer, client)).start()

    def _send(self, answer: bytes, client: Tuple[str, int]) -> None:
        with contextlib.suppress(OSError):  # stopped
            self._socket.sendto(answer, client)

    def _answer(self, question: bytes, rcode: int) -> bytes:
        name_end = question.index(b"\0", 12)
        (wanted,) = struct.unpack_from("!H", question, name_end + 1)
        known = rcode == 0 and wanted == self._type
        head = question[:2] + struct.pack("!HHHHH", 0x8180 | rcode, 1, int(known), 0, 0)
        record = struct.pack("!HHHIH", 0xC00C, wanted, 1, 1, len(self._address)) + self._address
        return head + question[12 : name_end + 5] + (record if known else b"")


def all_of(behaviours: List[Behaviour]) -> Behaviour:
    """One behaviour for each report; the last one for all further reports."""
    first, *rest = behaviours
    return {**first, "times": 1, "then": all_of(rest)} if rest else first
