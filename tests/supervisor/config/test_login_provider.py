"""The section `access.oidc`: what is a login provider, and what is wrong with one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from supervisor.config.load import parse
from supervisor.config.login_provider import LoginProvider, is_safe_url
from supervisor.config.problem_text import ConfigError
from supervisor.domain.rights import Role

WHOLE = "issuer: 'https://login.example/realms/home', client_id: banken, roles: {admin: [admins]}"
SECRET = "correct-horse-battery-staple"


def read(section: str, **environ: str) -> LoginProvider | None:
    return parse(f"access: {{oidc: {{{section}}}}}", "a test", environ, {}).oidc


def complaints(section: str, **environ: str) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        read(section, **environ)
    return list(refused.value.complaints)


def test_without_the_section_there_is_no_provider() -> None:
    """Other sections of `access` make none."""
    assert parse("access: {proxy: {user_header: X-User}}", "a test", {}, {}).oidc is None


def test_section_is_read_with_its_defaults() -> None:
    """Half a day, the profile, and the name of the host."""
    found = read(WHOLE)
    assert found is not None
    assert (found.name, found.client_secret, found.scopes) == ("login.example", "", ("openid", "profile"))
    assert (found.user_claim, found.groups_claim, found.session_s, found.ca) == (
        "preferred_username", "groups", 12 * 3600, None,
    )  # fmt: skip


def test_secret_comes_from_the_environment_and_is_not_shown() -> None:
    """Neither in the configuration's text form nor in a complaint."""
    config = parse(f"access: {{oidc: {{{WHOLE}, client_secret: '${{OIDC}}'}}}}", "a test", {"OIDC": SECRET}, {})
    assert config.oidc is not None
    assert config.oidc.client_secret == SECRET
    assert SECRET not in f"{config!r} {config.oidc!r}"
    for wrong in (f"{SECRET} x", f"{SECRET}é", "short"):
        for section, environ in ((f"client_secret: '{wrong}'", {}), ("client_secret: '${OIDC}'", {"OIDC": wrong})):
            (text,) = complaints(f"{WHOLE}, {section}", **environ)
            assert wrong not in text


@pytest.mark.parametrize(
    ("groups", "role"),
    [
        (("family",), Role.WATCHER),
        (("family", "admins"), Role.ADMIN),
        (("admin",), None),
        (("ADMINS",), None),
        ((), None),
    ],
)
def test_role_with_the_most_rights_counts(groups: tuple[str, ...], role: Role | None) -> None:
    """Groups are compared to the letter."""
    found = read("issuer: 'https://h', client_id: x, roles: {admin: [admins], watcher: [family, admins]}")
    assert found is not None
    assert found.role_of(groups) is role


@pytest.mark.parametrize(
    ("section", "text"),
    [
        ("client_id: x, roles: {admin: [a]}", "access.oidc has no issuer"),
        ("issuer: 'https://h', roles: {admin: [a]}", "access.oidc has no client_id"),
        ("issuer: 'https://h', client_id: x", "access.oidc.roles gives nobody a role"),
        ("issuer: 'https://h', client_id: x, roles: {}", "access.oidc.roles gives nobody a role"),
        ("issuer: 'https://h', client_id: x, roles: {admin: []}", "access.oidc.roles gives nobody a role"),
        (WHOLE.replace("https:", "http:"), "access.oidc.issuer must be like https://HOST/PATH"),
        (WHOLE.replace("/home", "/home?x=y"), "access.oidc.issuer must be like"),
        (WHOLE.replace("/home", "/home#x"), "access.oidc.issuer must be like"),
        (WHOLE.replace("login", "a:b@login"), "access.oidc.issuer must be like"),
        (f"{WHOLE}, session: 91d", "access.oidc.session must be a duration from 5m to 90d"),
        (f"{WHOLE}, scopes: ['a b']", "an entry of access.oidc.scopes must be a scope without spaces"),
        (f"{WHOLE}, groups_claim: 'a b'", "access.oidc.groups_claim must be the name of a claim"),
        (f"{WHOLE}, client: x", "unknown key 'client' in access.oidc; did you mean 'client_id'?"),
        (f"{WHOLE.replace('admin:', 'detector:')}", "unknown key 'detector' in access.oidc.roles"),
    ],
)
def test_wrong_section_is_explained(section: str, text: str) -> None:
    """With the line, and what to write instead."""
    found = complaints(section)
    assert any(each.startswith(f"a test:1: {text}") for each in found), found


@pytest.mark.parametrize(
    ("address", "is_good"),
    [
        ("https://h", True),
        ("https://h:8443/x/y", True),
        ("https://[2001:db8::1]/x", True),
        ("http://127.0.0.1:9000", True),
        ("http://localhost/x", True),
        ("http://[::1]:1/", True),
        ("http://192.0.2.1/", False),
        ("http://localhost.example/", False),
        ("ftp://h/", False),
        ("https:///x", False),
        ("https://h:0/", False),
        ("https://h:99999/", False),
        ("https://h/\r\nX: y", False),
        ("https://h/<x>", False),
        ("https://h\\@evil/", False),
        ("https://é/", False),
        ("javascript:alert(1)", False),
        ("", False),
    ],
)
def test_address_needs_https_beyond_loopback(address: str, is_good: bool) -> None:
    """And nothing in it may be read in two ways."""
    assert is_safe_url(address) is is_good
    if address.startswith("http:"):
        assert not is_safe_url(address, plain=False)


@pytest.mark.parametrize(("text", "problem"), [(None, "cannot be read"), ("nothing", "no certificate as PEM")])
def test_check_reads_the_ca(text: str | None, problem: str, tmp_path: Path) -> None:
    """`banken check` says what is wrong with the file, and exits with 2."""
    (tmp_path / "banken.yaml").write_text(f"access: {{oidc: {{{WHOLE}, ca: ca.pem}}}}\ncameras: {{a: 'test:64x64'}}\n")
    if text is not None:
        (tmp_path / "ca.pem").write_text(text)
    command = [sys.executable, "-m", "supervisor", "check", str(tmp_path / "banken.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=dict(os.environ))
    assert done.returncode == 2
    assert "access.oidc.ca" in done.stderr
    assert problem in done.stderr
