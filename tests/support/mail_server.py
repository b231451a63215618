"""A false SMTP server: takes every mail and keeps it. Speaks as little as libcurl needs."""

from __future__ import annotations

import email
import email.policy
import socketserver
import threading
from contextlib import contextmanager
from email.message import EmailMessage
from typing import Iterator, List


class MailServer:
    def __init__(self) -> None:
        self.mails: List[EmailMessage] = []
        self.envelopes: List[str] = []  # "MAIL FROM:<...>", "RCPT TO:<...>"
        self.refuses = False  # each recipient, for ever
        server = self

        class Conversation(socketserver.StreamRequestHandler):
            def say(self, line: str) -> None:
                self.wfile.write(line.encode() + b"\r\n")

            def handle(self) -> None:
                self.say("220 mail.example ESMTP")
                for raw in self.rfile:
                    line = raw.decode().strip()
                    verb = line.split(" ")[0].split(":")[0].upper()
                    if verb == "DATA":
                        self.say("354 go on")
                        server.mails.append(self.mail())
                        self.say("250 kept")
                    elif verb == "RCPT" and server.refuses:
                        self.say("550 5.1.1 nobody here by that name")
                    elif verb == "QUIT":
                        self.say("221 bye")
                        return
                    else:
                        if verb in ("MAIL", "RCPT"):
                            server.envelopes.append(line)
                        self.say("250 mail.example" if verb == "EHLO" else "250 ok")

            def mail(self) -> EmailMessage:
                lines: List[bytes] = []
                for line in self.rfile:
                    if line == b".\r\n":
                        break
                    lines.append(line[1:] if line.startswith(b".") else line)
                policy = email.policy.default
                return email.message_from_bytes(b"".join(lines), policy=policy)  # type: ignore[return-value]

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Conversation)
        self._server.daemon_threads = True
        self.url = f"smtp://127.0.0.1:{self._server.server_address[1]}"

    @contextmanager
    def running(self) -> Iterator[MailServer]:
        thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join()
