"""Drives the emulator's page in a real Chromium: clicks every control, checks what it did, and the console.

    drive.py GCE_AUTH BROWSER FOLDER

Screenshots stay in FOLDER. Exits with 1, and says what is not so, at the first check that fails.
"""

import json
import pathlib
import re
import socket
import subprocess
import sys
import threading
import time

from browser import Browser
from copies import copies
from emulator import TREE, Emulator

def step(name):
    print(f"page: {name}", flush=True)


def count_of(tab):
    return tab.run('document.querySelectorAll("#rows > li").length')


def row(path, number=0):
    """Finds the newest row of a path."""
    return f"""[...document.querySelectorAll("#rows > li")].filter((it) => (it.querySelector(".row").title + it.querySelector(".query").textContent).includes({json.dumps(path)}))[{number}]"""


def open_row(tab, path):
    tab.wait(f"Boolean({row(path)})", f"{path} is listed")
    tab.run(f'{row(path)}.querySelector(".row").id = "opened"')
    tab.click("#opened")
    tab.wait(f'{row(path)}.querySelector(".more pre, .more dl") !== null', f"{path} is opened")
    text = tab.run(f'{row(path)}.querySelector(".more").innerText')
    command = tab.run(f'[...{row(path)}.querySelectorAll(".more section")].at(-1).querySelector("pre").textContent')
    tab.run('document.getElementById("opened").removeAttribute("id")')
    return text, command


def refusals(tab, emulator):
    """Each refusal is explained on the page alone, and its curl gets the same answer."""
    step("requests, their causes, and the same again by curl")
    flavor = {"Metadata-Flavor": "Google", "x-goog-api-client": "gl-python/3.12.3 auth/2.63.0 auth-request-type/at cred-type/mds"}
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    cases = [
        ("instance/hostname", {}, "GET", None, "missing Metadata-Flavor: Google"),
        ("instance/service-account/x?a=%20b", flavor, "GET", None, "did you mean"),
        ("instance/service-accounts/default/identity", flavor, "GET", None, "?audience="),
        ("instance/guest-attributes/", flavor, "GET", None, "enable-guest-attributes"),
        ("instance/name", flavor, "DELETE", None, "not a method of this path"),
        ("instance/machine-type", flavor, "GET", None, "Python 3.12.3, google-auth 2.63.0"),
        ("/token", form, "POST", b"grant_type=it%27s&x=a+b", "Invalid grant_type"),
    ]
    for path, headers, method, body, cause in cases:
        target = path if path.startswith("/") else TREE + path
        status, answer = emulator.ask(target, headers, method, body)
        text, command = open_row(tab, path.split("?")[0])
        assert cause in text, f"{path}: {cause!r} is not in {text!r}"
        again = subprocess.run(["sh", "-c", command], capture_output=True, timeout=30, check=True).stdout
        head, _, content = again.partition(b"\r\n\r\n")
        assert head.split()[1] == str(status).encode() and content == answer, f"{command} gave {again!r}, not {status} {answer!r}"
    emulator.get("instance/service-accounts/default/identity?audience=https%3A%2F%2Fexample.com")
    text, _ = open_row(tab, "audience=https")
    assert "JWT 1" in text and '"aud": "https://example.com"' in text and "lives 3600 s" in text, text


def session(tab, emulator, folder):
    step("export, replay, assertions")
    secret = json.loads(emulator.get("instance/service-accounts/default/token")[1])["access_token"]
    emulator.get("instance/zone")
    tab.wait(f"Boolean({row('instance/zone')})", "the last request is listed")
    tab.browser.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(folder))
    tab.click("#export")
    tab.click("#script")
    files = [folder / "session.json", folder / "session.sh"]
    end = time.monotonic() + 10
    while not all(file.exists() and file.stat().st_size for file in files):
        assert time.monotonic() < end, "the files are not there"
        time.sleep(0.05)
    for file in files:
        assert secret not in file.read_text(), f"{file.name} has a token"
    exported = json.loads(files[0].read_text())["requests"]
    statuses = [request["status"] for request in exported]
    replayed = subprocess.run(["sh", str(files[1]), emulator.url], capture_output=True, timeout=60, check=True).stdout
    again = [int(line.split()[1]) for line in replayed.splitlines() if line.startswith(b"HTTP/1.1 ")]
    assert again == statuses, f"replayed: {again}, before: {statuses}"
    tab.wait(f"Boolean({row('instance/zone', 1)})", "the replayed requests are listed")
    tab.run(f"{row('instance/zone', 1)}.querySelector('input').click()")
    tab.wait('document.getElementById("chosen").textContent === "1 selected"', "one is selected")
    tab.click("#assertions")
    tab.wait('!document.getElementById("written").hidden', "assertions are written")
    assert 'request_count("instance/zone"), 1' in tab.text("#code"), tab.text("#code")
    tab.click("#copy-code")
    tab.click("#close-code")
    tab.click("#unselect")
    assertions(tab, emulator)


def assertions(tab, emulator):
    """The page writes what the emulator's test `page_assertions` compiles and runs."""
    tab.click("#clear")
    tab.wait('document.querySelectorAll("#rows > li").length === 0', "all are forgotten")
    source = (pathlib.Path(__file__).parents[2] / "gce-auth-emulator/tests/page_assertions.rs").read_text()
    flavor = {"Metadata-Flavor": "Google"}
    rows = r'\(\s*"([A-Z]+)",\s*"((?:\\.|[^"\\])*)",\s*"(\w*)",?\s*\)'
    sent = re.findall(rows, source.partition("// begin")[0])
    assert len(sent) == 7, sent
    for method, target, body in sent:
        emulator.ask(re.sub(r"\\(.)", r"\1", target), flavor, method, body.encode() or None)
    tab.wait(f"Boolean({row('instance/zone', 1)})", "the last request is listed")
    tab.click("#assertions")
    tab.wait('!document.getElementById("written").hidden', "assertions are written")
    written = tab.text("#code").replace("// Here: run the program with the variables of emulator.env().", "program(&emulator);")
    compiled = source.partition("// begin\n")[2].partition("// end\n")[0]
    assert written == compiled, f"the page writes:\n{written}\nand the test has:\n{compiled}"
    tab.click("#close-code")


def lists(tab, emulator):
    step("filter and pause")
    tab.type("#filter", "no such thing")
    tab.wait('!document.getElementById("no-fit").hidden', "an empty filter says so")
    tab.type("#filter", "")
    tab.wait('document.getElementById("no-fit").hidden', "all are shown again")
    tab.click("#pause")
    before = count_of(tab)
    for _ in range(5):
        emulator.get("instance/id")
    tab.wait('document.getElementById("pause").textContent === "Continue (5 new)"', "a pause counts")
    assert count_of(tab) == before
    tab.click("#pause")
    tab.wait(f'document.querySelectorAll("#rows > li").length === {before + 5}', "the requests of a pause come")


def faults(tab, emulator):
    step("faults of every kind and limit; a slow click, and the focus")
    kinds = tab.run('document.getElementById("kind").length')
    limits = tab.run('document.getElementById("often").length')
    tab.type("#where", "/nowhere")
    for index in range(max(kinds, limits)):
        tab.choose("#kind", index % kinds)
        tab.choose("#often", index % limits)
        tab.click("#add-fault button")
        tab.wait(f'document.querySelectorAll("#faults > li").length === {index + 1}', "a fault is added")
    known = emulator.control("faults")["faults"]
    assert len({fault["fault"]["kind"] for fault in known}) == kinds == 10
    assert {"times", "forSeconds", "allowed", "probability"} <= set().union(*known)
    tab.type("#client", "curl")
    tab.type("#method", "GET")
    tab.type("#where", "instance/id")
    tab.choose("#kind", 0)
    tab.choose("#often", 5)
    tab.click("#add-fault button")
    tab.wait(f'document.querySelectorAll("#faults > li").length === {kinds + 1}', "a fault is added")
    last = emulator.control("faults")["faults"][-1]
    assert (last["client"], last["method"], last["fault"]["code"]) == ("curl", "GET", 503), last
    tab.run('document.querySelector("#faults > li:last-child button").focus()')
    for _ in range(3):
        subprocess.run(["curl", "-s", "-H", "Metadata-Flavor: Google", emulator.url + TREE + "instance/id"], capture_output=True, check=True)
    tab.wait('document.querySelector("#faults > li:last-child .badge").textContent === "3"', "hits are counted")
    assert tab.run('document.activeElement === document.querySelector("#faults > li:last-child button")'), "the focus was lost"
    tab.click("#faults > li:first-child button", held=1.2)
    tab.wait(f'document.querySelectorAll("#faults > li").length === {kinds}', "a slow click removes")
    assert tab.run('document.activeElement !== document.body'), "the focus fell to the page"
    tab.click("#heal")
    tab.wait('document.querySelectorAll("#faults > li").length === 0', "all are removed")
    for selector, text in (("#client", ""), ("#method", ""), ("#where", "/")):
        tab.type(selector, text)


def clock_and_tokens(tab, emulator):
    step("clock: exact, back, frozen; tokens: bars, one revoked")
    tab.type("#time", "2031-05-06T07:08:09Z")
    tab.click("#set-clock button:not([type])")
    tab.wait('document.getElementById("now").textContent.startsWith("2031-05-06 07:08")', "an exact time")
    tab.click("#moves button:nth-child(1)")
    tab.wait('document.getElementById("now").textContent.startsWith("2031-05-06 06:08")', "an hour back")
    tab.click("#freeze")
    tab.wait('document.getElementById("freeze").textContent === "Run on"', "it stands")
    assert emulator.control("clock")["frozen"]
    tab.click("#freeze")
    tab.wait('document.getElementById("freeze").textContent === "Freeze"', "it runs")
    emulator.get("instance/service-accounts/default/token")
    tab.wait("""document.querySelector('#tokens > li [title*="until 2031"] ~ meter') !== null""", "tokens are shown")
    before = emulator.control("tokens/current")["count"]
    tab.click("#tokens > li button")
    tab.wait(f'document.querySelectorAll("#tokens > li").length === {before - 1}', "one is revoked")
    assert emulator.control("tokens/current")["count"] == before - 1
    tab.type("#lifetime", "120")
    tab.type("#renewal", "7")
    tab.click("#set-tokens button")
    tab.wait("document.getElementById('said').textContent.includes('set for new tokens')", "a lifetime is set")
    assert emulator.control("tokens") == {"lifetimeSeconds": 120, "renewalSeconds": 7}
    tab.click("#rotate")
    emulator.get("instance/service-accounts/default/token")
    tab.click("#revoke")
    tab.wait('document.querySelectorAll("#tokens > li").length === 0', "all are revoked")


def events(tab, emulator):
    step("events of every kind, with their steps")
    kinds = tab.run('document.getElementById("event").length')
    for index in range(kinds):
        tab.choose("#event", index)
        tab.type("#delay", "3600")
        tab.click("#play button")
        tab.wait(f'document.querySelectorAll("#events > li").length === {index + 1}', "an event is scheduled")
    known = emulator.control("machine-events")["machineEvents"]
    assert len({event["event"]["kind"] for event in known}) == kinds - 1 == 10
    tab.click("#events > li:first-child button")
    tab.wait(f'document.querySelectorAll("#events > li").length === {kinds - 1}', "one is cancelled")
    tab.click("#cancel-all")
    tab.wait('document.querySelectorAll("#events > li").length === 0', "all are cancelled")
    tab.choose("#event", 0)
    tab.type("#delay", "0")
    tab.click("#play button")
    tab.wait('document.querySelectorAll("#events > li ol .done").length > 0', "a step was taken")
    assert emulator.get("instance/preempted")[1] == b"TRUE"
    tab.click("#cancel-all")
    tab.wait('document.querySelectorAll("#events > li").length === 0', "it is taken back")


def document(tab, emulator):
    step("document: set, delete, every letter, exact numbers, waiters")
    tab.type("#place", "instance/attributes/a#b?c")
    tab.type("#value", "x y")
    tab.click("#edit button.primary")
    leaf = """[...document.querySelectorAll("#tree .leaf")].find((it) => it.title === "instance/attributes/a#b?c")"""
    tab.wait(f"{leaf}?.querySelector('.value').textContent === 'x y'", "a key with # and ? is set")
    assert emulator.control("document/instance/attributes")["a#b?c"] == "x y"
    tab.click("#delete")
    tab.wait(f"!{leaf}", "it is deleted")
    assert "a#b?c" not in emulator.control("document/instance/attributes")
    tab.type("#place", "instance/id")
    tab.type("#value", "18446744073709551615")
    tab.click("#edit button.primary")
    tab.wait("""[...document.querySelectorAll("#tree .leaf")].find((it) => it.title === "instance/id").dataset.value === "18446744073709551615" """, "u64 is exact")
    assert emulator.get("instance/id")[1] == b"18446744073709551615"
    waiting = socket.create_connection(emulator.address)
    waiting.sendall(f"GET {TREE}instance/tags?wait_for_change=true HTTP/1.1\r\nHost: m\r\nMetadata-Flavor: Google\r\n\r\n".encode())
    badge = """[...document.querySelectorAll("#tree .leaf")].find((it) => it.title === "instance/tags").querySelector(".waiters")"""
    tab.wait(f"{badge}.textContent === '1 waiting' && !{badge}.hidden", "who waits is shown at the node")
    emulator.control("document/instance/tags", "PUT", ["a"])
    tab.wait(f"{badge}.hidden", "nothing waits any more")
    tab.wait(f"{row('instance/tags')}.querySelector('.badge').textContent === '200'", "the end of a wait is shown")
    waiting.close()


def tabs(browser, emulator):
    step("eight tabs at once")
    opened = [browser.tab(emulator.url + "/emulator/") for _ in range(7)]
    for tab in opened:
        tab.wait('document.getElementById("live")?.textContent === "live"', "each tab is live")
    for tab in opened:
        browser.call("Target.closeTarget", targetId=tab.target)


def load(tab, emulator):
    step("clicks while requests pour in")
    wire = f"GET {TREE}instance/zone HTTP/1.1\r\nHost: m\r\nMetadata-Flavor: Google\r\n\r\n".encode() * 1000
    connection = socket.create_connection(emulator.address)

    def pour():
        try:
            while True:
                connection.sendall(wire)
        except OSError:
            pass

    def drain():
        try:
            while connection.recv(1 << 20):
                pass
        except OSError:
            pass

    threads = [threading.Thread(target=each) for each in (pour, drain)]
    for thread in threads:
        thread.start()
    first = emulator.control("news?limit=0")["lastId"]
    began = time.monotonic()
    try:
        tab.wait('!document.getElementById("left-out").hidden', "what was left out is counted")
        slowest = 0
        for _ in range(5):
            tab.click("#moves button:nth-child(3)")
            before = time.monotonic()
            tab.run('new Promise((done) => { const now = document.getElementById("now"); new MutationObserver(done).observe(now, { childList: true, subtree: true, characterData: true }); document.querySelector("#moves button:nth-child(3)").click(); }).then(() => true)')
            slowest = max(slowest, time.monotonic() - before)
        rate = (emulator.control("news?limit=0")["lastId"] - first) / (time.monotonic() - began)
        assert slowest < 2, f"a click took {slowest:.1f} s at {rate:,.0f} requests/s"
        print(f"page: the slowest of five clicks took {slowest * 1000:.0f} ms at {rate:,.0f} requests/s", flush=True)
    finally:
        connection.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join()
        connection.close()
    # What was sent before the end is still answered: among so many the page would leave out what comes next.
    last = None
    while last != (last := emulator.control("news?limit=0")["lastId"]):
        time.sleep(0.3)
    tab.click("#clear")
    tab.wait('document.querySelectorAll("#rows > li").length === 0', "all are forgotten")
    tab.wait('document.getElementById("left-out").hidden', "what was left out is forgotten")


def forgets(tab, emulator):
    step("what comes while the page forgets is shown")
    for control in ("#clear", "#reset"):
        emulator.get("instance/name")
        tab.wait(f"Boolean({row('instance/name')})", "a request is listed")
        # The answer that all is forgotten is held back.
        tab.run("""(() => {
            const real = window.fetch;
            window.fetch = async (...what) => {
                const answer = await real(...what);
                if (what[1].method !== "GET") await new Promise((go) => { window.fetch = real; window.letGo = go; });
                return answer;
            };
        })()""")
        tab.click(control)
        tab.wait("Boolean(window.letGo)", f"{control} was answered")
        emulator.get("instance/hostname")
        tab.wait(f"Boolean({row('instance/hostname')}) && !{row('instance/name')}", "only the later request is listed")
        tab.run("new Promise((done) => { letGo(); delete window.letGo; setTimeout(() => done(true), 500); })")
        assert tab.run(f"Boolean({row('instance/hostname')})"), f"{control} took a later request away"


def every_control(tab):
    step("every control, by click and by keyboard")
    controls = tab.run("""(() => { const all = [...document.querySelectorAll("button, summary, select, input")];
        all.forEach((it, index) => { it.dataset.number = String(index); }); return all.length; })()""")
    clicked = 0
    for number in range(controls):
        selector = f'[data-number="{number}"]'
        if tab.run(f"(() => {{ const it = document.querySelector('{selector}'); return Boolean(it) && it.getBoundingClientRect().width > 0; }})()"):
            tab.click(selector)
            clicked += 1
            tab.key("Escape", 27)
    assert clicked > 40, f"only {clicked} of {controls} controls are in sight"
    tab.run("document.activeElement.blur(); window.scrollTo(0, 0); document.getSelection().removeAllRanges()")
    tab.run('document.querySelector("#reset").focus()')
    reached = set()
    for _ in range(80):
        tab.key("Tab", 9)
        reached.add(tab.run("document.activeElement.id || document.activeElement.textContent.slice(0, 20)"))
    wanted = {"filter", "pause", "clear", "export", "script", "assertions", "time", "freeze", "rotate", "event", "details", "kind", "where", "place", "value", "delete"}
    assert wanted <= reached, f"Tab does not reach {wanted - reached}"
    print(f"page: {clicked} controls clicked", flush=True)


def looks(tab, emulator, folder):
    step("looks: wide and 360 px, light and dark")
    emulator.ask(TREE + "instance/id")
    emulator.get("instance/service-account/default/tokens")
    emulator.get("instance/service-accounts/default/identity?audience=https%3A%2F%2Fexample.com")
    emulator.get("instance/service-accounts/default/token")
    emulator.control("faults", "POST", {"path": "instance/zone", "times": 3, "fault": {"kind": "status", "code": 503, "retryAfter": 1}})
    emulator.get("instance/zone")
    emulator.control("machine-events", "POST", {"event": {"kind": "maintenance", "action": "TERMINATE"}, "inSeconds": 30})
    open_row(tab, "instance/service-account/default/tokens")
    open_row(tab, "audience=https")
    tab.run("document.activeElement.blur()")
    for width, height in ((1280, 900), (360, 900)):
        for dark in (False, True):
            tab.look(width, height, dark)
            time.sleep(0.4)
            name = f"{width}-{'dark' if dark else 'light'}"
            tab.run('window.scrollTo(0, 0); document.querySelector("aside").scrollTo(0, 0)')
            tab.screenshot(folder / f"{name}.png")
            wide = tab.run("document.documentElement.scrollWidth")
            culprits = tab.run("[...document.querySelectorAll('main *')].filter((it) => it.getBoundingClientRect().right > innerWidth + 1).slice(0, 3).map((it) => it.outerHTML.slice(0, 80))")
            assert wide <= width, f"the page is {wide} px wide at {width} px: {culprits}"
            tab.run('document.querySelector("#kind").scrollIntoView({ block: "start" })')
            time.sleep(0.2)
            tab.screenshot(folder / f"{name}-below.png")
    nameless = tab.nameless()
    assert not nameless, f"controls without a name: {nameless}"


def main():
    program, browser_program, folder = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3]).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    began = time.monotonic()
    emulator = Emulator(program)
    browser = Browser(browser_program)
    tab = None
    try:
        tab = browser.tab(emulator.url + "/emulator/")
        tab.look(1280, 900, False)
        tab.wait('document.getElementById("live")?.textContent === "live"', "the page is live")
        tab.wait('!document.getElementById("none").hidden', "an empty list says so")
        refusals(tab, emulator)
        session(tab, emulator, folder)
        step("each copied command gets the same answer")
        copies(tab, emulator)
        lists(tab, emulator)
        faults(tab, emulator)
        clock_and_tokens(tab, emulator)
        events(tab, emulator)
        document(tab, emulator)
        tabs(browser, emulator)
        load(tab, emulator)
        forgets(tab, emulator)
        looks(tab, emulator, folder)
        tab.look(1280, 900, False)
        every_control(tab)
        # What a page asks and is refused on purpose (a path that is not there) is no fault of the page.
        complaints = [it for it in browser.complaints if "status of 4" not in it]
        assert not complaints, f"the console: {complaints}"
    except (AssertionError, RuntimeError) as why:
        print(f"page: FAILED: {why}; the console: {browser.complaints}")
        if tab:
            tab.screenshot(folder / "failed.png")
        sys.exit(1)
    finally:
        browser.close()
        emulator.close()
    print(f"page: all as it should be, in {time.monotonic() - began:.0f} s; screenshots in {folder}")


main()
