"""Encrypts what Temporal stores: AES-256-GCM, with keys that Temporal's server never sees.

AES-GCM rather than Fernet: 256-bit keys, no base64 (a third less to store), and associated data that binds a payload
to its key. A random nonce a payload is good for 2^32 payloads under one key: some hundred million orders, then rotate.
Metadata are those of Temporal's own samples: `encoding` and `encryption-key-id`.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from google.protobuf.message import DecodeError
from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure
from temporalio.converter import DataConverter, PayloadCodec

from orderkit.errors import SettingsError

ENCODING = b"binary/encrypted"
_NONCE_BYTES = 12
_HOW = "give every worker, API and command the same ORDERKIT_CODEC_KEY (or ORDERKIT_CODEC_KEY_FILE)"


def new_key() -> str:
    """A random key, as text for ORDERKIT_CODEC_KEY."""
    return base64.urlsafe_b64encode(AESGCM.generate_key(bit_length=256)).decode()


def key_id(key: bytes) -> str:
    """The name of a key in its payloads; it tells nothing about the key."""
    return hashlib.sha256(b"orderkit key id\0" + key).hexdigest()[:8]


def url_token(key: bytes) -> str:
    """The secret part of the codec server's address. Only somebody with the key can compute it."""
    return hmac.new(key, b"orderkit codec server", hashlib.sha256).hexdigest()[:32]


class Codec(PayloadCodec):
    """The first key encrypts, all of them decrypt; without a key it leaves payloads alone and opens none.

    Plain payloads pass, so that it can be turned on while orders are open. Raises SettingsError for a key it lacks.
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._ciphers = {key_id(key): AESGCM(key) for key in keys}
        self._first = next(iter(self._ciphers), None)

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Encrypt each payload, its metadata included."""
        return [self._encrypted(payload) for payload in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Decrypt those that are encrypted."""
        return [self._decrypted(payload) for payload in payloads]

    def _encrypted(self, payload: Payload) -> Payload:
        if self._first is None:
            return payload
        nonce = os.urandom(_NONCE_BYTES)
        sealed = self._ciphers[self._first].encrypt(nonce, payload.SerializeToString(), _bound_to(self._first))
        metadata = {"encoding": ENCODING, "encryption-key-id": self._first.encode()}
        return Payload(metadata=metadata, data=nonce + sealed)

    def _decrypted(self, payload: Payload) -> Payload:
        if payload.metadata.get("encoding") != ENCODING:
            return payload
        name = payload.metadata.get("encryption-key-id", b"").decode(errors="replace")
        cipher = self._ciphers.get(name)
        if cipher is None:
            known = ", ".join(self._ciphers) or "any known here"
            raise SettingsError(f"Temporal's payloads are encrypted with key {name[:64]!r}, not with {known}; {_HOW}")
        nonce, sealed = payload.data[:_NONCE_BYTES], payload.data[_NONCE_BYTES:]
        try:
            return Payload.FromString(cipher.decrypt(nonce, sealed, _bound_to(name)))
        except (InvalidTag, ValueError, DecodeError):
            raise SettingsError(f"key {name} cannot decrypt a payload: the payload was changed") from None


async def reveal(failure: Failure, converter: DataConverter) -> None:
    """Put the decrypted messages of a failure and of its causes back into their place."""
    if isinstance(converter.payload_codec, Codec):
        await converter.payload_codec.decode_failure(failure)
    each = failure
    while True:
        if each.HasField("encoded_attributes"):
            told = converter.payload_converter.from_payload(each.encoded_attributes)
            each.message, each.stack_trace = told["message"], told["stack_trace"]
        if not each.HasField("cause"):
            return
        each = each.cause


def _bound_to(name: str) -> bytes:
    return b"orderkit payload 1\0" + name.encode()
