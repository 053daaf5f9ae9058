"""Measures the page under load: how long a click takes while a load generator asks as fast as it can.

    load.py GCE_AUTH BROWSER [CONNECTIONS]

Exits with 1 if a click takes longer than BOUND, or if the page does not say how many requests it left out.
"""

import json
import re
import statistics
import subprocess
import sys
import time

from browser import Browser
from emulator import TREE, Emulator

SECONDS, CLICKS, BOUND = 20, 20, 0.5
# A click on "a minute ahead", until the page shows the other time.
CLICK = """new Promise((done) => { const now = document.getElementById("now"), before = now.textContent.slice(0, 16);
    new MutationObserver(() => { if (now.textContent.slice(0, 16) !== before) done(true); })
        .observe(now, { childList: true, subtree: true, characterData: true });
    document.querySelector("#moves button:nth-child(3)").click(); })"""


def clicks(tab):
    taken = []
    for _ in range(CLICKS):
        began = time.monotonic()
        tab.run(CLICK)
        taken.append(time.monotonic() - began)
        time.sleep(0.2)
    return taken


def main():
    program, browser_program = sys.argv[1], sys.argv[2]
    connections = sys.argv[3] if len(sys.argv) > 3 else "32"
    emulator, browser = Emulator(program), Browser(browser_program)
    generator = None
    try:
        tab = browser.tab(emulator.url + "/emulator/")
        tab.wait('document.getElementById("live")?.textContent === "live"', "the page is live")
        idle = clicks(tab)
        generator = subprocess.Popen(
            ["wrk", "-t1", "-c" + connections, f"-d{SECONDS}s", "-H", "Metadata-Flavor: Google", emulator.url + TREE + "instance/zone"],
            stdout=subprocess.PIPE, text=True)
        tab.wait('!document.getElementById("left-out").hidden', "what was left out is counted", SECONDS)
        busy = clicks(tab)
        left_out = tab.text("#left-out")
        said = generator.communicate(timeout=SECONDS + 60)[0]
        rate = float(re.search(r"Requests/sec:\s*([\d.]+)", said)[1])
        shown = int(tab.text("#left-out").split()[0].replace(",", ""))
        total = json.loads(emulator.ask("/emulator/v1/news?limit=0")[1])["lastId"]
    finally:
        if generator and generator.poll() is None:
            generator.kill()
        browser.close()
        emulator.close()
    for name, taken in (("idle", idle), (f"{rate:,.0f} requests/s", busy)):
        print(f"page: {CLICKS} clicks at {name}: median {statistics.median(taken) * 1000:.0f} ms, slowest {max(taken) * 1000:.0f} ms")
    print(f"page: {left_out!r} while it ran; of {total:,} requests {shown:,} were left out")
    if max(busy) > BOUND or not 0 < shown < total:
        sys.exit(1)


main()
