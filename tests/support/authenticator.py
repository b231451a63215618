"""An authenticator app: the codes of RFC 6238 by Python's own HMAC."""

from __future__ import annotations

import base64
import hashlib
import hmac
import struct
import time
from typing import Optional


def code(secret: str, at: Optional[float] = None, ahead: int = 0) -> str:
    """What it shows now, or `ahead` steps of 30 s later."""
    step = int((time.time() if at is None else at) // 30) + ahead
    made = hmac.new(base64.b32decode(secret), struct.pack(">Q", step), hashlib.sha1).digest()
    offset = made[-1] & 15
    return "%06d" % ((struct.unpack(">I", made[offset : offset + 4])[0] & 0x7FFFFFFF) % 1_000_000)
