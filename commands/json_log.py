"""Log lines as JSON, one object a line, for programs that collect them."""

from __future__ import annotations

import json
import logging
import time


class JsonLines(logging.Formatter):
    """Objects with time, level, logger and message; an error with its traceback too."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        seconds = time.gmtime(record.created)
        content = {
            "time": f"{time.strftime('%Y-%m-%dT%H:%M:%S', seconds)}.{int(record.msecs):03}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            content["traceback"] = self.formatException(record.exc_info)
        return json.dumps(content, ensure_ascii=False)
