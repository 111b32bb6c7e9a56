r"""Signatures of group robots against answers that openssl gave, and against the vendors' steps written out again.

printf '1700000000123\nSECabc' | openssl dgst -sha256 -hmac SECabc -binary | base64
printf '' | openssl dgst -sha256 -mac HMAC -macopt hexkey:$(printf '1700000000\ndemo' | xxd -p) -binary | base64
"""

import base64
import hashlib
import hmac
from urllib.parse import unquote

from hypothesis import given
from hypothesis import strategies as st

from alerts.people import dingtalk, feishu

SECRETS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=80)
TIMES = st.integers(0, 2**42)


def test_dingtalk_signs_as_openssl_does() -> None:
    signed = dingtalk.signature("SECabc", 1_700_000_000_123)
    assert signed == "IqXBU%2FaLfwMA3S%2FtDcfRmHx5vWHw9Y1aOgFLBr1Ti9w%3D"


def test_feishu_signs_as_openssl_does() -> None:
    assert feishu.signature("demo", 1_700_000_000) == "8oT2n3SMKFfEnDoiwer8BUM/SjKLwe9SqoEIHlhDTKo="


@given(SECRETS, TIMES)
def test_dingtalk_keys_with_the_secret_and_signs_time_and_secret(secret: str, time_ms: int) -> None:
    mac = hmac.new(secret.encode("utf-8"), digestmod=hashlib.sha256)
    mac.update(str(time_ms).encode() + b"\n" + secret.encode("utf-8"))
    assert base64.b64decode(unquote(dingtalk.signature(secret, time_ms))) == mac.digest()


@given(SECRETS, TIMES)
def test_feishu_keys_with_time_and_secret_and_signs_nothing(secret: str, time_s: int) -> None:
    mac = hmac.new(str(time_s).encode() + b"\n" + secret.encode("utf-8"), digestmod=hashlib.sha256)
    assert base64.b64decode(feishu.signature(secret, time_s)) == mac.digest()
