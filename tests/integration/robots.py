"""Group robots as their vendors document them: real HTTP servers that check keys and signatures and say no in kind."""

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

Answer = tuple[int, dict[str, Any] | str]


class Robot:
    """One robot's server; `messages` are those it took, `says` answers in place of it where it is set."""

    def __init__(self, take: Callable[["Robot", str, dict[str, str], Any], Answer]) -> None:
        self.messages: list[Any] = []
        self.requests = 0
        self.says: Answer | None = None
        self.headers: dict[str, str] = {}
        self.per_minute = 10_000
        self._take = take
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def answer(self, path: str, headers: dict[str, str], body: bytes) -> Answer:
        self.requests += 1
        self.headers = headers
        if self.says is not None:
            return self.says
        parts = urlsplit(path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        try:
            content = json.loads(body) if body else None
        except ValueError:
            content = body.decode()
        return self._take(self, parts.path, query, content)


@contextmanager
def serving(robot: Robot) -> Iterator[Robot]:
    """Have a robot answer on a free port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 5

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, said = robot.answer(self.path, dict(self.headers), body)
            text = (said if isinstance(said, str) else json.dumps(said)).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST  # noqa: N815 - the server's own way of naming

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    robot.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield robot
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


WECOM_KEY = "693a91f6-7xxx-4bc4-97a0-0ec2sifa5aaa"


def wecom() -> Robot:
    def take(robot: Robot, path: str, query: dict[str, str], content: Any) -> Answer:
        if path != "/cgi-bin/webhook/send" or query.get("key") != WECOM_KEY:
            return 200, {"errcode": 93000, "errmsg": "invalid webhook url, hint: [1700], from ip: 127.0.0.1"}
        kind = content.get("msgtype")
        text = content.get(kind, {}).get("content", "")
        if kind not in ("markdown", "text"):
            return 200, {"errcode": 40008, "errmsg": "invalid message type"}
        if not text:
            return 200, {"errcode": 44004, "errmsg": "empty content"}
        if len(text.encode()) > {"markdown": 4096, "text": 2048}[kind]:
            return 200, {"errcode": 40058, "errmsg": f"{kind}.content exceed max length"}
        if len(robot.messages) >= robot.per_minute:
            return 200, {"errcode": 45009, "errmsg": "api freq out of limit"}
        robot.messages.append(content)
        return 200, {"errcode": 0, "errmsg": "ok"}

    return Robot(take)


DINGTALK_TOKEN, DINGTALK_SECRET = "566cc69da782ec", "SEC3f7a0d"


def dingtalk() -> Robot:
    def take(robot: Robot, path: str, query: dict[str, str], content: Any) -> Answer:
        if path != "/robot/send" or query.get("access_token") != DINGTALK_TOKEN:
            return 200, {"errcode": 300005, "errmsg": "token is not exist"}
        stamp = query.get("timestamp", "")
        if not stamp.isdigit() or abs(int(stamp) / 1000 - time.time()) > 3600:
            return 200, {"errcode": 310000, "errmsg": "invalid timestamp"}
        digest = hmac.new(DINGTALK_SECRET.encode(), (stamp + "\n" + DINGTALK_SECRET).encode(), hashlib.sha256).digest()
        if query.get("sign") != base64.b64encode(digest).decode():
            return 200, {"errcode": 310000, "errmsg": "sign not match"}
        if content["msgtype"] == "markdown" and not content["markdown"].get("title"):
            return 200, {"errcode": 40035, "errmsg": "缺少参数 title"}
        if len(json.dumps(content, ensure_ascii=False).encode()) > 20_000:
            return 200, {"errcode": 460101, "errmsg": "message too long, exceed 20000 bytes"}
        if len(robot.messages) >= robot.per_minute:
            return 200, {"errcode": 130101, "errmsg": "send too fast, exceed 20 times per minute"}
        robot.messages.append(content)
        return 200, {"errcode": 0, "errmsg": "ok"}

    return Robot(take)


FEISHU_TOKEN, FEISHU_SECRET = "0b6b5a4e-hook", "demo-secret"


def feishu() -> Robot:
    def take(robot: Robot, path: str, _: dict[str, str], content: Any) -> Answer:
        if path != f"/open-apis/bot/v2/hook/{FEISHU_TOKEN}":
            return 200, {"code": 19001, "msg": "param invalid: incoming webhook access token invalid", "data": {}}
        stamp = str(content.get("timestamp", ""))
        signing = hmac.new((stamp + "\n" + FEISHU_SECRET).encode(), digestmod=hashlib.sha256).digest()
        late = not stamp.isdigit() or abs(int(stamp) - time.time()) > 3600
        if late or content.get("sign") != base64.b64encode(signing).decode():
            told = "sign match fail or timestamp is not within one hour from current time"
            return 200, {"code": 19021, "msg": told, "data": {}}
        if content.get("msg_type") not in ("text", "interactive"):
            return 200, {"code": 9499, "msg": "Bad Request", "data": {}}
        if len(json.dumps(content).encode()) > 20_480:
            return 200, {"code": 9499, "msg": "Bad Request", "data": {}}
        if len(robot.messages) >= robot.per_minute:
            return 200, {"code": 11232, "data": {}, "msg": "frequency limited psm[lark.oapi.app_platform_runtime]"}
        robot.messages.append(content)
        return 200, {"StatusCode": 0, "StatusMessage": "success", "code": 0, "data": {}, "msg": "success"}

    return Robot(take)


def provider() -> Robot:
    """A provider of text messages that takes everything and keeps path, query and content."""

    def take(robot: Robot, path: str, query: dict[str, str], content: Any) -> Answer:
        robot.messages.append((path, query, content))
        return 200, {"result": {"code": 0}}

    return Robot(take)
