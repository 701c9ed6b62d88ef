"""What the site's build mends in pages that plug-ins made."""

from __future__ import annotations

from typing import Any


def on_page_content(html: str, **_: Any) -> str:
    """Leave out defaults that an option has not got: mkdocs-click prints click's mark for them."""
    return html.replace("<code>Sentinel.UNSET</code>", "")
