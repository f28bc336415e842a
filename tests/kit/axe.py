"""axe-core in a page: what breaks the rules for accessible pages, whatever its impact.

Rules of this file:
1. The script is the one in the distribution axe-playwright-python, pinned by hash; nothing is fetched.
2. All default rules run, and target-size (WCAG 2.2, 2.5.8). Results that axe cannot decide are not findings.
"""

import json
from importlib.util import find_spec

import trio

from .page import Page

PACKAGE = "axe_playwright_python"
RUN = """async (only) => {
  const chosen = only.length ? {runOnly: {type: "rule", values: only}} : {rules: {"target-size": {enabled: true}}};
  const {violations} = await axe.run(document, {resultTypes: ["violations"], ...chosen});
  const words = ({any, all, none}) => [...any, ...all, ...none].map(({message}) => message).join("; ");
  return violations.flatMap(({id, impact, help, nodes}) =>
    nodes.map((node) => `${id} (${impact}): ${node.target.join(" ")}: ${words(node) || help}`));
}"""


def missing_reason() -> str | None:
    """Why there is no axe-core here and what would help, in words; None when there is one."""
    return None if find_spec(PACKAGE) else f"no {PACKAGE} (ops/test installs it)"


async def load_axe(page: Page) -> None:
    """Once for each document of the page."""
    found = find_spec(PACKAGE)
    assert found is not None and found.origin is not None, missing_reason()
    await page.evaluate(await trio.Path(found.origin).with_name("axe.min.js").read_text())


async def findings(page: Page, *rules: str) -> list[str]:
    """Return the violations in the current page, each with rule, impact and element; only of `rules`, if any."""
    return list(await page.evaluate(f"({RUN})({json.dumps(rules)})", within=60))
