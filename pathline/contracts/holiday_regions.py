"""Working days by region: which days are holidays is known to a library; the core is given the days."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from pathline.domain.detectors.calendars import WEEKDAYS, Calendar
from pathline.domain.detectors.rules import DetectorError

YEARS: Final = range(2000, 2061)
"""Years whose holidays count; before and after them only the weekend does."""


@lru_cache(maxsize=100)
def calendar_of(region: str | None) -> Calendar:
    """The working days of a country (DE) or a part of one (DE-BY), by ISO 3166; None: Monday to Friday.

    Raises:
        DetectorError: nobody knows the holidays there.
    """
    if not region:
        return WEEKDAYS
    # Of use only where a region is set, and it takes a while to read in.
    import holidays

    country, _, part = region.partition("-")
    try:
        known = holidays.country_holidays(country.upper(), subdiv=part.upper() or None, years=YEARS)
    except NotImplementedError as error:
        message = f"{region!r} is no region whose holidays are known: {error}"
        raise DetectorError(message) from error
    return Calendar(frozenset(known), frozenset(known.weekend))
