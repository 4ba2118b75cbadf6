"""A report in headless Chromium: what its tests share."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, Page

PHONE, DESK = 360, 1_440
# Text from a host that would do harm if it were taken for markup, in any of the places it goes to.
HOSTILE = (
    "</script><script>window.hacked=1</script><img src=x onerror=window.hacked=1>"
    "\"' onmouseover=window.hacked=1 {{ 7*7 }} ]]><!--"
)


@dataclass
class Opened:
    """A page that was opened from disk and has drawn all of its charts.

    + said: everything on the browser's console, and every uncaught error
    + asked: every address that was asked for, the file itself left out
    """

    page: Page
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)


def open_page(
    browser: Browser, file: Path, width: int = DESK, scheme: Literal["light", "dark"] = "light"
) -> Opened:
    """Open a page and wait until it has drawn itself."""
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    opened = Opened(page)
    page.on("console", lambda message: opened.said.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: opened.said.append(f"error: {error}"))
    page.on("request", lambda request: opened.asked.append(request.url))
    page.goto(file.as_uri())
    page.wait_for_selector("html[data-drawn]", state="attached", timeout=60_000)
    opened.asked.remove(file.as_uri())
    return opened


# Composites what lies behind each text on one pixel, as the browser does; WCAG 2.1, 1.4.3.
LOW_CONTRAST = """() => {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 1;
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  const pixel = (colours) => {
    pen.clearRect(0, 0, 1, 1);
    for (const colour of colours) { pen.fillStyle = colour; pen.fillRect(0, 0, 1, 1); }
    return [...pen.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const light = (rgb) => {
    const part = rgb.map((one) => {
      const share = one / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * part[0] + 0.7152 * part[1] + 0.0722 * part[2];
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let seen = 0;
  while (walker.nextNode()) {
    const parent = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !parent.checkVisibility()) continue;
    if (["SCRIPT", "STYLE", "NOSCRIPT"].includes(parent.tagName)) continue;
    seen += 1;
    const style = getComputedStyle(parent);
    const grounds = [];
    for (let node = parent; node; node = node.parentElement) {
      grounds.unshift(getComputedStyle(node).backgroundColor);
    }
    const ink = parent instanceof SVGElement ? style.fill : style.color;
    const [one, other] = [light(pixel(grounds)), light(pixel([...grounds, ink]))];
    const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    if (ratio < 4.5) found.push(`${ratio.toFixed(2)} ${parent.tagName} ${parent.textContent}`);
  }
  return [seen, found];
}"""
