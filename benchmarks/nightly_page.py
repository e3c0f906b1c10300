"""How fast a site's index opens and filters in Chromium, measured through its debugging port.

    python benchmarks/nightly_page.py /srv/www/runs/index.html

Opening is from the request to the load event with everything laid out; filtering is from the key press to the rows on the screen
(two frames later). Needs Chromium and tornado (which comes with dask.distributed).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from urllib.request import urlopen

MEASURE = """
(async () => {
  const frames = () => new Promise(r => requestAnimationFrame(() => requestAnimationFrame(r)));
  await frames();
  const nav = performance.getEntriesByType("navigation")[0];
  const out = {open: nav.loadEventEnd, filters: {}};
  const box = document.getElementById("filter"), shown = document.getElementById("shown");
  for (const text of ["user07", "overfitting", "run_00", "zzz", ""]) {
    const begun = performance.now();
    shown.textContent = "";
    box.value = text;
    box.dispatchEvent(new Event("input"));
    while (!shown.textContent) await new Promise(r => setTimeout(r, 1));
    await frames();
    out.filters[text] = [performance.now() - begun, shown.textContent, document.querySelectorAll("#rows tr").length];
  }
  const begun = performance.now();
  document.getElementById("sort").value = "name";
  document.getElementById("sort").dispatchEvent(new Event("change"));
  await frames();
  out.sort = performance.now() - begun;
  return out;
})()
"""


async def measure(port: int, address: str) -> dict[str, object]:
    """Open the page in a tab and run `MEASURE` in it."""
    from tornado.websocket import websocket_connect

    for _ in range(100):
        try:
            with urlopen(f"http://127.0.0.1:{port}/json") as answer:
                tab = next(t for t in json.load(answer) if t["type"] == "page")
            break
        except (OSError, StopIteration):
            await asyncio.sleep(0.1)
    socket = await websocket_connect(tab["webSocketDebuggerUrl"], max_message_size=1 << 26)

    async def call(number: int, method: str, **parameters: object) -> dict[str, object]:
        await socket.write_message(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            message = json.loads(await socket.read_message())
            if message.get("id") == number:
                return message["result"]

    await call(1, "Page.enable")
    await call(2, "Page.navigate", url=address)
    for number in range(3, 1000):
        state = await call(number, "Runtime.evaluate", expression="document.readyState + location.href", returnByValue=True)
        if state["result"]["value"] == "complete" + address:
            break
        await asyncio.sleep(0.02)
    result = await call(1001, "Runtime.evaluate", expression=MEASURE, awaitPromise=True, returnByValue=True)
    return result["result"]["value"]


def main() -> None:
    """Measure a few times, print the best of each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("page", type=Path)
    parser.add_argument("--times", type=int, default=3)
    options = parser.parse_args()
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    results = []
    for i in range(options.times):
        profile = tempfile.mkdtemp()
        port = 9300 + i
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"]
        process = subprocess.Popen(
            [chromium, *flags, f"--user-data-dir={profile}", f"--remote-debugging-port={port}", "--window-size=1400,1000", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            results.append(asyncio.run(measure(port, options.page.resolve().as_uri())))
        finally:
            process.terminate()
            process.wait()
            time.sleep(0.2)
            shutil.rmtree(profile, ignore_errors=True)
    print(f"{options.page.stat().st_size / 1024:.0f} KiB")
    print(f"open: {min(r['open'] for r in results):.0f} ms")
    for text in results[0]["filters"]:
        best = min((r["filters"][text] for r in results), key=lambda f: f[0])
        print(f"filter {text!r}: {best[0]:.0f} ms, {best[1]}, {best[2]} rows drawn")
    print(f"sort by name: {min(r['sort'] for r in results):.0f} ms")


if __name__ == "__main__":
    main()
