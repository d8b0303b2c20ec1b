"""Who may ask, and for what: a test for each line of the contract."""

from __future__ import annotations

import pytest

from gainstage.render.live.guard import LONGEST_QUERY, Keys


def test_a_browser_of_this_server_is_answered(live):
    assert live.ask("/").status == 200
    assert live.ask("/api/runs").status == 200
    assert live.ask("/", host=f"localhost:{live.port}").status == 200
    assert live.ask("/", host=f"[::1]:{live.port}").status == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example", "evil.example:{port}", "127.0.0.1", "localhost", "127.0.0.1:1",
        "127.0.0.1:{port}.evil.example", "127.0.0.1:{port}@evil.example", "127.0.0.2:{port}",
        "0.0.0.0:{port}", "localhost.:{port}", "LOCALHOST:{port} ", "", "[::ffff:127.0.0.1]:{port}",
    ],
)  # fmt: skip
def test_a_name_that_a_stranger_points_here_is_refused(live, host):
    """DNS rebinding: the browser believes that it talks to the stranger's host."""
    answer = live.ask("/api/runs", host=host.format(port=live.port))
    assert answer.status in {400, 421}
    assert b"aaaa" not in answer.body


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "https://127.0.0.1:{port}"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "http://127.0.0.1:{port}.evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},  # another port of this machine
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "http://127.0.0.1:{port}"},
    ],
)
def test_pages_of_other_sites_are_refused(live, headers):
    given = {name: value.format(port=live.port) for name, value in headers.items()}
    for path in ("/", "/api/runs", "/static/page.css", f"/?token={live.keys.token}"):
        answer = live.ask(path, headers=given)
        assert answer.status == 403, path
        assert "set-cookie" not in answer.headers


def test_its_own_pages_are_not_refused(live):
    for site in ("same-origin", "none"):
        assert live.ask("/api/runs", headers={"Sec-Fetch-Site": site}).status == 200
    own = {"Origin": f"http://localhost:{live.port}"}
    assert live.ask("/api/runs", headers=own).status == 200


@pytest.mark.parametrize(
    "method",
    ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "get", "BREW", "QUERY"],
)
def test_only_get_and_head_are_answered(live, method):
    for path in ("/", "/api/runs", "/static/page.css", "/nowhere"):
        answer = live.ask(path, method=method, body=b"{}" if method == "POST" else None)
        assert answer.status in {400, 405}
        if answer.status == 405:
            assert answer.headers["allow"] == "GET, HEAD"
        assert "access-control-allow-origin" not in answer.headers


def test_head_is_answered_without_a_body(live):
    for path in ("/", "/api/runs", "/static/page.css", "/api/events"):
        answer = live.ask(path, method="HEAD")
        assert answer.status == 200, path
        assert answer.body == b""


@pytest.mark.parametrize(
    "cookie",
    [
        None, "", "x", "gainstage-{port}=", "gainstage-{port}=wrong", "gainstage-1={cookie}",
        "gainstage-{port}={cookie}x", "gainstage-{port}=\u00e9", 'gainstage-{port}="', "=;=;;",
    ],
)  # fmt: skip
def test_without_the_cookie_there_is_nothing_but_files_that_everybody_has(live, cookie):
    headers = {}
    if cookie is not None:
        headers["Cookie"] = cookie.format(port=live.port, cookie=live.keys.cookie)
    for path in ("/api/runs", "/api/run?run=2026-01-01-aaaa", "/api/events", "/nowhere"):
        answer = live.ask(path, let_in=False, headers=headers)
        assert answer.status == 401, path
        assert b"aaaa" not in answer.body
    page = live.ask("/", let_in=False, headers=headers)
    assert page.status == 401
    assert b"address in your terminal" in page.body
    assert live.ask("/static/page.css", let_in=False, headers=headers).status == 200


@pytest.mark.parametrize(
    "other",
    [
        'prefs={"theme":"dark"}', "a=b c", "name=J\u00fcrgen", "foo[bar]=1", "x=1,2", "flag", "=",
        "gainstage-PORT=of-another-path", "gainstage-1=x", "a=gainstage-PORT=x", "path=/; x", '"',
    ],
)  # fmt: skip
def test_cookies_of_other_servers_of_this_machine_lock_nobody_out(live, other):
    other = other.replace("PORT", str(live.port))
    for cookie in (f"{other}; {live.cookie}", f"{live.cookie}; {other}", f"{other};{live.cookie} "):
        assert live.ask("/api/runs", let_in=False, headers={"Cookie": cookie}).status == 200, cookie
    assert live.ask("/api/runs", let_in=False, headers={"Cookie": other}).status == 401


def test_an_address_opens_one_browser(folder, start_server):
    server = start_server(folder)
    try:
        first = server.keys.token
        head = server.ask(f"/?token={first}", method="HEAD", let_in=False)
        assert head.status == 401  # somebody looks ahead: the address is still good
        welcome = server.ask(f"/?token={first}", let_in=False)
        assert (welcome.status, welcome.headers["location"]) == (303, "/")
        set_cookie = welcome.headers["set-cookie"]
        assert set_cookie.startswith(server.cookie + ";")
        for attribute in ("httponly", "samesite=strict", "path=/"):
            assert attribute in set_cookie.lower()
        assert server.renewed == [server.keys.token] != [first]
        again = server.ask(f"/?token={first}", let_in=False)
        assert again.status == 401
        assert "set-cookie" not in again.headers
        assert server.ask(f"/?token={server.keys.token}", let_in=False).status == 303
    finally:
        server.stop()


def test_a_token_is_good_for_the_front_page_alone(live):
    for path in ("/api/runs", "/nowhere"):
        assert live.ask(f"{path}?token={live.keys.token}", let_in=False).status == 401
    assert live.renewed == []


def test_an_old_address_in_a_browser_that_is_in_loses_its_token(live):
    answer = live.ask("/?token=old")
    assert (answer.status, answer.headers["location"]) == (303, "/")


def test_secrets_are_long_and_of_each_server_alone():
    one, two = Keys(), Keys()
    assert len({one.cookie, one.token, two.cookie, two.token}) == 4
    assert min(map(len, (one.cookie, one.token))) >= 43  # 256 bits
    assert not one.spend("")
    assert not one.admits("")
    assert not one.admits(one.token)
    assert not one.spend("\ud800".encode("utf-8", "surrogatepass").decode("latin-1"))


@pytest.mark.parametrize("path", ["/", "/api/runs", "/static/page.css", "/static/plotly.js", "/no"])
@pytest.mark.parametrize("let_in", [True, False])
def test_every_answer_carries_the_policy(live, path, let_in):
    headers = live.ask(path, let_in=let_in).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe-eval" not in policy
    assert policy.count("unsafe-inline") == 1  # style attributes, which plotly sets
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["cache-control"] == "no-store"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert "server" not in headers


def test_a_long_query_is_not_looked_at(live):
    assert live.ask("/api/run?run=" + "x" * LONGEST_QUERY).status == 414
    assert live.ask("/" + "x" * 100_000).status in {400, 404, 414}


def test_a_websocket_is_closed(live):
    upgrade = {
        "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }  # fmt: skip
    assert live.ask("/api/events", method="HEAD", headers=upgrade).status != 101
