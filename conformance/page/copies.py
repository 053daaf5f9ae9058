"""Commands that the page gives for requests: run in a shell, each gets the same answer again."""

import http.client
import json
import os
import socket
import subprocess

from emulator import TREE

FLAVOR = {"Metadata-Flavor": "Google"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
JSON = {"Content-Type": "application/json"}
IAM = "/v1/projects/-/serviceAccounts/"


def raw(emulator, text):
    """Sends bytes as they are; returns status and body."""
    with socket.create_connection(emulator.address, timeout=10) as stream:
        stream.sendall(text)
        answer = http.client.HTTPResponse(stream)
        answer.begin()
        return answer.status, answer.read()


def prepared(emulator):
    """Requests of every kind, each with the secrets that a person has to set again."""
    token = json.loads(emulator.get("instance/service-accounts/default/token")[1])["access_token"]
    email = emulator.get("instance/service-accounts/default/email")[1].decode()
    jwt = emulator.get("instance/service-accounts/default/identity?audience=x")[1].decode()
    bearer = {"Authorization": f"Bearer {token}", **JSON}
    ask = emulator.ask
    guest = TREE + "instance/guest-attributes/page/"
    emulator.control("document/instance/attributes/enable-guest-attributes", "PUT", "TRUE")
    yield "a value", [], lambda: ask(TREE + "instance/zone", FLAVOR)
    yield "a query", [], lambda: ask(TREE + "instance/?recursive=true&alt=text", FLAVOR)
    yield "signs of a shell", [], lambda: ask(TREE + "instance/$(id)'x*;&|!?a=$HOME&b=[1-3]{x,y}`id`'\\", FLAVOR)
    yield "dots in a path", [], lambda: ask(TREE + "instance/../instance/./zone", FLAVOR)
    yield "headers with quotes", [], lambda: ask(TREE + "instance/id", {**FLAVOR, "X-A": "it's \"so\" `id` $HOME \\n", "User-Agent": "a'b"})
    yield "a header without a value", [], lambda: raw(emulator, f"GET {TREE}instance/id HTTP/1.1\r\nHost: m\r\nMetadata-Flavor:\r\nConnection: close\r\n\r\n".encode())
    yield "a header twice", [], lambda: raw(emulator, f"GET {TREE}instance/id HTTP/1.1\r\nHost: m\r\nMetadata-Flavor: x\r\nMetadata-Flavor: Google\r\nConnection: close\r\n\r\n".encode())
    yield "no header but Host", [], lambda: raw(emulator, f"GET {TREE}instance/id HTTP/1.1\r\nHost: m\r\nConnection: close\r\n\r\n".encode())
    yield "a method that a shell would run", [], lambda: raw(emulator, f"`id`|it's&$x {TREE}instance/id HTTP/1.1\r\nHost: m\r\nMetadata-Flavor: Google\r\nConnection: close\r\n\r\n".encode())
    yield "a target that is no path", [], lambda: raw(emulator, b"OPTIONS * HTTP/1.1\r\nHost: m\r\nMetadata-Flavor: Google\r\nConnection: close\r\n\r\n")
    yield "a path that begins with two slashes", [], lambda: ask("//computeMetadata//v1/instance/id", FLAVOR)
    yield "HEAD", [], lambda: ask(TREE + "instance/id", FLAVOR, "HEAD")
    yield "DELETE", [], lambda: ask(TREE + "instance/id", FLAVOR, "DELETE")
    yield "a body that begins with @", [], lambda: ask(guest + "at", FLAVOR, "PUT", b"@/etc/hostname")
    yield "a body with quotes and newlines", [], lambda: ask("/token", FORM, "POST", b"grant_type=it's\n\"so\"\r\n\t`id` $HOME \\ %41")
    yield "a body of bytes", [], lambda: ask(guest + "bytes", FLAVOR, "PUT", bytes(range(256)))
    yield "a body of bytes in a form", [], lambda: ask("/token", FORM, "POST", b"grant_type=\xff\x00")
    yield "a body without a type", [], lambda: raw(emulator, b"POST /token HTTP/1.1\r\nHost: m\r\nContent-Length: 13\r\nConnection: close\r\n\r\ngrant_type=%41")
    yield "a body of a request that has none", [], lambda: ask(TREE + "instance/id", {**FLAVOR, **FORM}, "GET", b"a=b")
    yield "a long body", [], lambda: ask(guest + "long", FLAVOR, "PUT", b"'x" * 2000)
    yield "letters beyond ASCII", [], lambda: ask(guest + "letters", {**FLAVOR, "Content-Type": "text/plain"}, "PUT", "é ☃ 𝄞".encode())
    yield "a bearer token", [token], lambda: ask(IAM + email + ":generateIdToken", bearer, "POST", b'{"audience": ""}')
    yield "an unknown bearer token", ["ya29.x"], lambda: ask(IAM + email + ":signJwt", {"Authorization": "Bearer ya29.x", **JSON}, "POST", b"{}")
    yield "two secrets in a form", ["s3cret", "1//0abc"], lambda: ask("/token", FORM, "POST", b"grant_type=refresh_token&client_id=c&client_secret=s3cret&refresh_token=1//0abc")
    yield "a JWT that occurs twice", [jwt], lambda: ask("/tokeninfo?id_token=" + jwt + "&x=" + jwt)
    yield "a token in a query", [token], lambda: ask("/tokeninfo?access_token=" + token)
    yield "a token in a JSON body", ["ya29.y"], lambda: ask("/v1/token", JSON, "POST", b'{"grantType": "it\'s", "subjectToken": "ya29.y"}')


def same(status, body, again):
    head, _, content = again.partition(b"\r\n\r\n")
    return head.split()[1] == str(status).encode() and steady(content) == steady(body)


def steady(body):
    """The body without what the clock has a part in."""
    try:
        answer = json.loads(body)
    except ValueError:
        return body
    if isinstance(answer, dict):
        for name in ("expires_in", "exp"):
            answer.pop(name, None)
    return answer


def copies(tab, emulator):
    count = 0
    for name, secrets, send in prepared(emulator):
        tab.wait('document.getElementById("live").textContent === "live"', "the page is live")
        before = emulator.control("news?limit=0")["lastId"]
        status, body = send()
        # One request alone was sent since.
        number = before + 1
        check = f'[...document.querySelectorAll("#rows > li")].find((it) => it.querySelector("input").ariaLabel === "Select request {number}")'
        tab.wait(f"Boolean({check})", f"{name} is listed")
        tab.run(f'{check}.querySelector(".row").id = "opened"')
        tab.click("#opened")
        again = f'[...{check}.querySelectorAll(".more section")].at(-1)'
        tab.wait(f'Boolean({again}?.querySelector(".promise"))', f"{name} is opened")
        command, promise = tab.run(f'[{again}.querySelector("pre").textContent, {again}.querySelector(".promise").textContent]')
        tab.click("#opened")
        tab.run('document.getElementById("opened").removeAttribute("id")')
        assert promise.startswith("Gives the same answer again"), f"{name}: {promise}"
        names = ["TOKEN" + (str(index + 1) if index else "") for index in range(len(secrets))]
        assert all(f"{it} to the" in promise for it in names), f"{name}: {promise}"
        assert not any(secret in command + promise for secret in secrets), f"{name}: {command} has a secret"
        environment = {**os.environ, **dict(zip(names, secrets)), "HOME": "/nonexistent"}
        ran = subprocess.run(["sh", "-c", command], capture_output=True, timeout=30, env=environment)
        assert ran.returncode == 0 and not ran.stderr, f"{name}: {command}: {ran.stderr}"
        assert same(status, body, ran.stdout), f"{name}: {command} gave {ran.stdout!r}, not {status} {body!r}"
        # And what it sent looks the same to the emulator.
        first, second = (emulator.control(f"requests/{it}") for it in (number, number + 1))
        for part in ("method", "path", "query", "bodyLength", "body", "bodyBase64", "status"):
            assert first[part] == second[part], f"{name}: {part}: {first[part]!r}, then {second[part]!r}"
        count += 1
    assert count > 20, count
    tab.wait(f'Boolean(document.querySelector(\'[aria-label="Select request {number + 1}"]\'))', "the last one is listed")
    emulator.control("document/instance/attributes/enable-guest-attributes", "DELETE")
    print(f"page: {count} copied commands got the same answers", flush=True)
