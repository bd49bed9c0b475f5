"""What every check is made with: what it demands, and how a refusal is demanded."""

import httpx


class Failed(Exception):
    """A check that did not hold: the run ends here."""


class Checks:
    """Counts the checks and says each in a line."""

    def __init__(self):
        self.passed = 0

    def that(self, holds, what, found=None):
        """Demands `holds`; `found` explains what was there instead."""
        if not holds:
            raise Failed(what if found is None else f"{what}: found {found!r}")
        self.passed += 1
        print(f"ok {self.passed:3} - {what}", flush=True)

    def equal(self, found, wanted, what):
        """Demands that two values are equal, and shows both if they are not."""
        if found != wanted:
            raise Failed(f"{what}: wanted {wanted!r}, found {found!r}")
        self.that(True, what)


async def refused(checks, call, status, what, detail=None):
    """Demands that `call` raises the client's HTTP error with that status, and its detail if one is wanted."""
    try:
        answer = await call
    except httpx.HTTPStatusError as error:
        checks.equal(error.response.status_code, status, f"{what} is refused with {status}")
        if detail is not None:
            found = error.response.json().get("detail")
            holds = found.startswith(detail) if isinstance(found, str) else False
            checks.that(holds, f"{what} says {detail!r}", found)
        return
    raise Failed(f"{what}: nothing was raised, the answer was {answer!r}")


async def raises(checks, call, kind, what):
    """Demands that `call` raises exactly this kind of exception."""
    try:
        answer = await call
    except kind as error:
        checks.that(type(error) is kind, f"{what} raises {kind.__name__}", type(error).__name__)
        return error
    raise Failed(f"{what}: nothing was raised, the answer was {answer!r}")
