"""Drives a headless Chromium through a pipe (--remote-debugging-pipe), without any library."""

import json
import os
import select
import subprocess
import tempfile
import time

TIMEOUT = 60


class Browser:
    def __init__(self, program):
        # Its children may still write as it ends.
        self.profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        theirs_in, self.out = os.pipe()
        self.into, theirs_out = os.pipe()
        command = [
            program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
            f"--user-data-dir={self.profile.name}", "--remote-debugging-pipe", "about:blank",
        ]
        # Chromium reads from descriptor 3 and writes to descriptor 4. The shell moves them there.
        shell = f'exec "$0" "$@" 3<&{theirs_in} 4>&{theirs_out}'
        self.child = subprocess.Popen(["bash", "-c", shell, *command], pass_fds=(theirs_in, theirs_out),
                                      env={**os.environ, "TMPDIR": self.profile.name},
                                      stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(theirs_in)
        os.close(theirs_out)
        self.last, self.rest, self.answers, self.complaints = 0, b"", {}, []

    def close(self):
        self.child.kill()
        self.child.wait()
        self.profile.cleanup()

    def call(self, method, session=None, **parameters):
        self.last += 1
        message = {"id": self.last, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        os.write(self.out, json.dumps(message).encode() + b"\0")
        end = time.monotonic() + TIMEOUT
        while self.last not in self.answers:
            self.read(end - time.monotonic(), method)
        answer = self.answers.pop(self.last)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']['message']}")
        return answer["result"]

    def read(self, seconds, what):
        if seconds <= 0 or not select.select([self.into], [], [], seconds)[0]:
            raise RuntimeError(f"{what}: no answer of the browser in {TIMEOUT} s")
        data = os.read(self.into, 1 << 20)
        if not data:
            raise RuntimeError("the browser has ended")
        *whole, self.rest = (self.rest + data).split(b"\0")
        for message in map(json.loads, whole):
            if "id" in message:
                self.answers[message["id"]] = message
            else:
                self.event(message["method"], message["params"])

    def event(self, method, parameters):
        if method == "Runtime.exceptionThrown":
            details = parameters["exceptionDetails"]
            self.complaints.append(details.get("exception", {}).get("description", details["text"]))
        elif method == "Runtime.consoleAPICalled" and parameters["type"] in ("error", "warning", "assert"):
            self.complaints.append(" ".join(str(value.get("value")) for value in parameters["args"]))
        elif method == "Log.entryAdded" and parameters["entry"]["level"] in ("error", "warning"):
            entry = parameters["entry"]
            self.complaints.append(f"{entry['text']} {entry.get('url', '')}")

    def tab(self, url):
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Runtime", "Log", "Page", "Accessibility"):
            self.call(f"{domain}.enable", session)
        self.call("Page.navigate", session, url=url)
        return Tab(self, session, target)


class Tab:
    def __init__(self, browser, session, target):
        self.browser, self.session, self.target = browser, session, target

    def call(self, method, **parameters):
        return self.browser.call(method, self.session, **parameters)

    def run(self, script):
        """The value of an expression, or of the promise that it is."""
        done = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in done:
            raise RuntimeError(f"{script}: {done['exceptionDetails']['exception'].get('description')}")
        return done["result"].get("value")

    def wait(self, script, what, seconds=10):
        end = time.monotonic() + seconds
        while not self.run(script):
            if time.monotonic() > end:
                raise AssertionError(f"{what}: not so after {seconds} s: {script}")
            time.sleep(0.03)

    def place(self, selector):
        """The middle of an element, in sight."""
        found = self.run(f"""(() => {{ const element = document.querySelector({json.dumps(selector)});
            if (!element) return null; element.scrollIntoView({{ block: "center", behavior: "instant" }});
            const box = element.getBoundingClientRect();
            return box.width ? [box.x + box.width / 2, box.y + Math.min(box.height / 2, 14)] : null; }})()""")
        assert found, f"{selector} is not in sight"
        return found

    def mouse(self, kind, place):
        button = "none" if kind == "mouseMoved" else "left"
        self.call("Input.dispatchMouseEvent", type=kind, x=place[0], y=place[1], button=button, clickCount=1)

    def click(self, selector, held=0):
        place = self.place(selector)
        self.mouse("mouseMoved", place)
        self.mouse("mousePressed", place)
        time.sleep(held)
        self.mouse("mouseReleased", place)

    def key(self, name, code, text=""):
        for kind in ("keyDown", "keyUp"):
            more = {"text": text} if text and kind == "keyDown" else {}
            self.call("Input.dispatchKeyEvent", type=kind, key=name, code=name, windowsVirtualKeyCode=code, **more)

    def type(self, selector, text):
        """Replaces what stands in a field."""
        self.run(f"(() => {{ const field = document.querySelector({json.dumps(selector)}); field.focus(); field.select(); }})()")
        if text:
            self.call("Input.insertText", text=text)
        else:
            self.key("Delete", 46)

    def choose(self, selector, index):
        self.run(f"""(() => {{ const field = document.querySelector({json.dumps(selector)}); field.selectedIndex = {index};
            field.dispatchEvent(new Event("change", {{ bubbles: true }})); }})()""")

    def text(self, selector):
        return self.run(f"document.querySelector({json.dumps(selector)})?.textContent ?? ''")

    def screenshot(self, path):
        import base64
        with open(path, "wb") as file:
            file.write(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))

    def look(self, width, height, dark):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])

    def nameless(self):
        """Controls for which a screen reader has no name."""
        roles = {"button", "textbox", "searchbox", "combobox", "checkbox", "spinbutton", "meter", "link", "listbox"}
        found = []
        for node in self.call("Accessibility.getFullAXTree")["nodes"]:
            role = node.get("role", {}).get("value")
            if not node.get("ignored") and role in roles and not node.get("name", {}).get("value", "").strip():
                found.append(role)
        return found
