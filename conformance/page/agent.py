"""The agent's admin page in a real Chromium, with what callers can bring to it: hostile paths, long names.

    agent.py GCE_AUTH CHROMIUM FOLDER

Screenshots are kept in FOLDER, to look at.
"""

import http.client
import json
import pathlib
import subprocess
import sys
import tempfile

from browser import Browser
from emulator import TREE, Emulator

ACCOUNT = TREE + "instance/service-accounts/default/"
LONG = "a-rule-with-a-long-name-" * 6
RULES = f"""
default = "own-user"
[[rule]]
name = "<script>document.title='run'</script>"
[rule.caller]
uid = [4242]
[[rule]]
name = "{LONG}"
[rule.caller]
uid = [4243]
"""


class Agent:
    def __init__(self, program, source, folder):
        rules = pathlib.Path(folder, "agent.toml")
        rules.write_text(RULES)
        command = [program, "agent", "--config", rules, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]
        command += ["--upstream", source.url.removeprefix("http://"), "--ready-json"]
        self.child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        ready = json.loads(self.child.stdout.readline())
        self.address, self.admin = ready["listen"][0], ready["admin"]

    def close(self):
        self.child.kill()
        self.child.wait()

    def ask(self, target, headers=None):
        connection = http.client.HTTPConnection(self.address, timeout=30)
        headers = {"Metadata-Flavor": "Google", "Host": "metadata", **(headers or {})}
        connection.request("GET", target, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


def callers(agent):
    """Asks for what is served, refused, long and hostile; gives the tokens that were got."""
    tokens = []
    for scopes in ["", "?scopes=" + "https://www.googleapis.com/auth/" + "x" * 300]:
        status, body = agent.ask(ACCOUNT + "token" + scopes)
        assert status == 200, (status, body)
        tokens.append(json.loads(body)["access_token"])
    status, body = agent.ask(ACCOUNT + "identity?audience=https://" + "b" * 400 + ".example/%3Cb%3E")
    assert status == 200, (status, body)
    tokens.append(body)
    for target, headers in [
        (TREE + "instance/attributes/" + "c" * 900, {}),
        (TREE + "instance/attributes/kube-env", {}),
        (TREE + "'+document.write(1)+'", {}),
        ("/", {"Origin": "https://evil.example"}),
        (TREE + "instance/zone", {"Host": "evil.example"}),
    ]:
        status, _ = agent.ask(target, headers)
        assert status in (400, 403, 404), (target, status)
    return tokens


def judge(tab, tokens, folder):
    tab.wait("document.querySelectorAll('progress').length >= 3", "tokens are shown as bars")
    # The page loads itself again and again: at a moment it may be there in part.
    for part in ["gce-auth agent", "Listeners", "Rules", "Last requests", "<script>", LONG, "kube-env"]:
        tab.wait(f"document.body.innerText.includes({json.dumps(part)})", f"{part} is on the page")
    assert tab.run("document.title") == "gce-auth agent", "what a rule is named was run"
    assert not tab.run("document.scripts.length"), "there is a script on the page"
    whole = tab.run("document.documentElement.outerHTML")
    assert not any(token in whole or token[-24:] in whole for token in tokens), "a token is on the page"
    for width, height in [(1280, 900), (768, 1024), (390, 844)]:
        for dark in (False, True):
            tab.look(width, height, dark)
            tab.run("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
            tab.screenshot(folder / f"agent-{width}-{'dark' if dark else 'light'}.png")
            wide = tab.run("document.documentElement.scrollWidth")
            assert wide <= width, f"the page is {wide} px wide at {width} px"
    nodes = tab.call("Accessibility.getFullAXTree")["nodes"]
    bars = [node for node in nodes if node.get("role", {}).get("value") == "progressbar"]
    assert bars and all(bar.get("name", {}).get("value") for bar in bars), "a bar without a name"
    nameless = tab.nameless()
    assert not nameless, f"controls without a name: {nameless}"


def main():
    program, chromium, folder = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3]).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    source, browser = Emulator(program), Browser(chromium)
    with tempfile.TemporaryDirectory() as place:
        agent = Agent(program, source, place)
        try:
            tokens = callers(agent)
            tab = browser.tab(f"http://{agent.admin}/")
            judge(tab, tokens, folder)
            assert not browser.complaints, f"the console: {browser.complaints}"
        except (AssertionError, RuntimeError) as why:
            print(f"page of the agent: FAILED: {why}; the console: {browser.complaints}")
            sys.exit(1)
        finally:
            for each in (browser, agent, source):
                each.close()
    print(f"page of the agent: all as it should be; screenshots in {folder}")


main()
