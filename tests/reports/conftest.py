"""One small demo for all tests of reports, and headless Chromium over its debugging pipe."""

from __future__ import annotations

import base64
import json
import os
import shlex
import shutil
import subprocess
import time

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="session")
def small():
    """Options of a small demo."""
    return {"subjects": 3, "frames": 24, "size": (320, 240), "epochs": 1, "workers": 1}


@pytest.fixture(scope="session")
def made(tmp_path_factory, small):
    """The folder of a small demo, and its results."""
    from glee.reports.demo.demo import demo

    out = tmp_path_factory.mktemp("demo") / "out"
    return out, demo(out, progress=False, **small)


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """A page in a browser; skips where there is none."""
    browser = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if browser is None:
        pytest.skip("no Chromium is installed (apt-get install chromium)")
    with Page(browser, tmp_path_factory.mktemp("profile")) as opened:
        yield opened


class Page:
    """A page in a browser of its own; what it says on the console and asks for is kept."""

    def __init__(self, browser, profile):
        command_read, self._write = os.pipe()
        self._read, answer_write = os.pipe()
        flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe"]
        flags += ["--autoplay-policy=no-user-gesture-required", "--no-first-run"]
        flags += ["--disable-background-networking", f"--user-data-dir={profile}", "about:blank"]
        line = f"exec {shlex.join([browser, *flags])} 3<&{command_read} 4>&{answer_write}"
        self._process = subprocess.Popen(
            ["bash", "-c", line],
            pass_fds=(command_read, answer_write),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(command_read)
        os.close(answer_write)
        self._count, self._rest, self._session = 0, b"", None
        self.said, self.requests = [], []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def __enter__(self):
        return self

    def __exit__(self, *error):
        os.close(self._write)
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
        os.close(self._read)

    def call(self, method, **parameters):
        """Send a command of the DevTools protocol and give its result."""
        self._count += 1
        message = {"id": self._count, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._count:
                assert "error" not in answer, answer
                return answer["result"]
            self._keep(answer)

    def _next(self):
        while b"\0" not in self._rest:
            block = os.read(self._read, 1 << 16)
            assert block, "the browser is gone"
            self._rest += block
        message, _, self._rest = self._rest.partition(b"\0")
        return json.loads(message)

    def _keep(self, event):
        given = event.get("params", {})
        if event["method"] in ("Runtime.consoleAPICalled", "Runtime.exceptionThrown"):
            self.said.append(json.dumps(given))
        elif event["method"] == "Log.entryAdded":
            self.said.append(given["entry"]["text"])
        elif event["method"] == "Network.requestWillBeSent":
            self.requests.append(given["request"]["url"])

    def open(self, path, width=1300, height=900):
        """Load a file and wait for it."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        self.call("Page.navigate", url=path.as_uri())
        self.until("document.readyState === 'complete' && location.protocol === 'file:'")

    def value(self, expression):
        """The value of a JavaScript expression."""
        done = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in done, done
        return done["result"].get("value")

    def until(self, expression, seconds=30):
        """Wait for an expression to be true."""
        end = time.monotonic() + seconds
        while not self.value(expression):
            assert time.monotonic() < end, f"not within {seconds} s: {expression}"
            time.sleep(0.05)

    def press(self, key, code, shift=False):
        """Press a key and let it go; code: its Windows virtual key code."""
        same = {"key": key, "windowsVirtualKeyCode": code, "modifiers": 8 if shift else 0}
        self.call("Input.dispatchKeyEvent", type="keyDown", **same)
        self.call("Input.dispatchKeyEvent", type="keyUp", **same)

    def drag(self, start, *stops):
        """Press the mouse at a point, move it over others and let it go."""
        x, y = start
        button = {"button": "left", "clickCount": 1}
        self.call("Input.dispatchMouseEvent", type="mousePressed", x=x, y=y, buttons=1, **button)
        for x, y in stops:
            self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y, buttons=1, **button)
        self.call("Input.dispatchMouseEvent", type="mouseReleased", x=x, y=y, buttons=0, **button)

    def picture(self, path, whole=False):
        """Write a screenshot."""
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(shot["data"]))
