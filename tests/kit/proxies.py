"""Real nginx and Caddy with the configurations of `ops/examples` and `ops/docs/proxy.md`, in a separate folder."""

import base64
import json
import re
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from itertools import pairwise
from pathlib import Path

import attrs
import trio
import yaml

from .http import over_tls
from .patience import give_up_after
from .process_group import open_process_group

OPS = Path(__file__).parents[2] / "ops"
PAGE, EXAMPLES = OPS / "docs" / "proxy.md", OPS / "examples"
USER, PASSWORD = "watch", "correct horse"
CHEAP_HASH = "$2b$04$vtWPq/Bdj3acHxTQfymqf.kbdGLBsJhYCnBol2YFhWK/azLGgi9Vy"
"""Of the password, by bcrypt with its least cost: Caddy's own takes a second of a core for each wrong password."""
PREFIX = "cams/"
HOST = "localhost"
"""Under which name the proxies are asked."""
ACCESS_LOG = "access.log"
"""In the folder of nginx, with its own format."""
TIDY_S = 20.0


@attrs.frozen
class Proxy:
    """A proxy that runs."""

    name: str
    port: int
    prefix: str = ""

    @property
    def url(self) -> str:
        return f"https://{HOST}:{self.port}/{self.prefix}"


OpenProxy = Callable[..., AbstractAsyncContextManager[Proxy]]


def blocks(language: str) -> list[str]:
    """The blocks of code in the document, in their order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)


def missing_reason(*programs: str) -> str | None:
    """Which of the programs is not here, in words."""
    missing = [name for name in (*programs, "openssl") if shutil.which(name) is None]
    return f"no {', '.join(missing)} on PATH (apt install {' '.join(missing)})" if missing else None


def settings(*ports: int) -> str:
    """The section `web` of the document for proxies at these ports, without `listen`, in braces' form."""
    section = yaml.safe_load(blocks("yaml")[0])["web"]
    del section["listen"]
    section["allow_origins"] = [f"https://{HOST}:{port}" for port in ports]
    return json.dumps(section)[1:-1]


def access() -> str:
    """The section `access` of the document, as one line."""
    return f"access: {json.dumps(yaml.safe_load(blocks('yaml')[1])['access'])}"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def password() -> dict[str, str]:
    """The header that a browser sends once it knows the password."""
    return {"Authorization": "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()}


def replaced(text: str, old: str, new: str) -> str:
    """`text` with every `old` replaced. Raises AssertionError when the documents have it no more."""
    assert old in text, f"no {old!r} in {text}"
    return text.replace(old, new)


def write_certificate(folder: Path) -> None:
    """Create a key and a self-signed certificate for `HOST`."""
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-keyout", "key.pem", "-out", "cert.pem", "-days", "2", "-subj", f"/CN={HOST}"]
    command += ["-addext", f"subjectAltName=DNS:{HOST},IP:127.0.0.1"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


@asynccontextmanager
async def open_nginx(
    folder: Path, port: int, upstream: int, *, below: bool = False, asks: bool = True
) -> AsyncIterator[Proxy]:
    """nginx with the example, at `port`, before a banken at `upstream`; `below` the prefix or not.

    It `asks` for a password, or leaves that to banken.
    """
    write_certificate(folder)
    whole, (password_lines, prefixed) = (EXAMPLES / "nginx.conf").read_text(), blocks("nginx")
    if asks:
        password_lines = replaced(password_lines, "/etc/nginx/banken.htpasswd", f"{folder}/htpasswd")
        whole = replaced(whole, "    proxy_http_version", f"{password_lines}    proxy_http_version")
    if below:
        whole = replaced(whole, "    location / { proxy_pass http://banken; }\n", prefixed)
    whole = replaced(whole, "listen 443 ssl", f"listen 127.0.0.1:{port} ssl")
    whole = replaced(whole, "127.0.0.1:8620", f"127.0.0.1:{upstream}")
    whole = replaced(whole, "/etc/nginx/tls/cams.example.pem", f"{folder}/cert.pem")
    whole = replaced(whole, "/etc/nginx/tls/cams.example.key", f"{folder}/key.pem")
    (folder / "htpasswd").write_text(f"{USER}:{{PLAIN}}{PASSWORD}\n")
    kinds = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    places = " ".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)
    (folder / "nginx.conf").write_text(
        f"daemon off; master_process off; pid {folder}/pid; error_log {folder}/errors; events {{}}\n"
        f"http {{ access_log {folder}/{ACCESS_LOG}; {places}\n{whole}\n}}\n"
    )
    argv = ["nginx", "-p", str(folder), "-e", f"{folder}/errors", "-c", f"{folder}/nginx.conf"]
    async with _open("nginx", argv, folder, port, PREFIX if below else "") as proxy:
        yield proxy


@asynccontextmanager
async def open_caddy(
    folder: Path, port: int, upstream: int, *, below: bool = False, asks: bool = True
) -> AsyncIterator[Proxy]:
    """Caddy, as `open_nginx`."""
    write_certificate(folder)
    whole, (password_lines, prefixed) = (EXAMPLES / "Caddyfile").read_text(), blocks("caddyfile")
    if below:
        inner = whole[whole.index("\treverse_proxy") : whole.rindex("}")]
        whole = replaced(whole, inner, replaced(prefixed, "\t\tREVERSE_PROXY\n", inner))
    password_lines = replaced(password_lines, "$2a$14$REPLACE_THIS_BY_YOUR_HASH", CHEAP_HASH) if asks else ""
    begin = f"https://{HOST}:{port} {{\n\ttls {folder}/cert.pem {folder}/key.pem\n{password_lines}"
    whole = replaced(whole, "cams.example {\n", begin)
    whole = replaced(whole, "127.0.0.1:8620", f"127.0.0.1:{upstream}")
    options = f"{{\n\tadmin off\n\tauto_https off\n\tdefault_bind 127.0.0.1\n\tstorage file_system {folder}/store\n}}\n"
    (folder / "Caddyfile").write_text(options + whole)
    argv = ["caddy", "run", "--config", f"{folder}/Caddyfile", "--adapter", "caddyfile"]
    async with _open("caddy", argv, folder, port, PREFIX if below else "") as proxy:
        yield proxy


@asynccontextmanager
async def _open(name: str, argv: list[str], folder: Path, port: int, prefix: str) -> AsyncIterator[Proxy]:
    async with open_process_group(argv) as group:

        async def answers() -> None:
            while True:
                try:
                    stream = await trio.open_tcp_stream("127.0.0.1", port)
                except OSError:
                    assert group.running, f"{name} ended: {' '.join(group.stderr_tail)}"
                    await trio.sleep(0.02)
                else:
                    return await stream.aclose()

        with give_up_after(TIDY_S):
            await answers()
        yield Proxy(name, port, prefix)


PROXIES: dict[str, OpenProxy] = {"nginx": open_nginx, "caddy": open_caddy}


async def read_pictures(proxy: Proxy, path: str, count: int, headers: Mapping[str, str] | None = None) -> list[float]:
    """Read so many parts of an MJPEG stream; the seconds between them. By default with the password of the proxy."""
    fields = {"Host": f"{HOST}:{proxy.port}", **(headers or password())}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    came, data, began = list[float](), b"", trio.current_time()
    with give_up_after(60):
        async with over_tls(await trio.open_tcp_stream("127.0.0.1", proxy.port)) as stream:
            await stream.send_all(f"GET /{proxy.prefix}{path} HTTP/1.1\r\n{head}\r\n".encode())
            while len(came) < count:
                data += await stream.receive_some()
                for _ in range(data.count(b"--banken-picture") - len(came)):
                    came.append(trio.current_time() - began)
    return [later - before for before, later in pairwise(came)]
