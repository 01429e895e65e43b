"""How executions are spread over the hours: less at night and, for most scenarios, at weekends."""

from __future__ import annotations

import random
from functools import lru_cache
from itertools import accumulate

# Whole weeks, so that the days repeat on the same weekdays; more than two years, so that no two years are alike.
_CYCLE = 143 * 7
_OFFICE_HOURS = range(7, 18)
# 1 January 2020 was a Wednesday.
_SATURDAY, _SUNDAY = 3, 4


@lru_cache(maxsize=4096)
def busy_hours(busiest_hour: int, hours: float) -> float:
    """
    Convert the hours since 2020 to mean hours: a busy hour counts as more than one, a quiet one as less.

    :param busiest_hour: Hour of the day (UTC, 0 to 23) with the most executions.
    :param hours: Hours since the beginning of 2020, not negative.
    :return: The mean hours until then. They never fall from one time to a later one.
    """
    until_hour, until_day = _hours_of_day(busiest_hour), _days_of_cycle(busiest_hour)
    cycle, hour_of_cycle = divmod(hours, _CYCLE * 24)
    day, hour_of_day = divmod(hour_of_cycle, 24)
    hour, fraction = int(hour_of_day), hour_of_day % 1
    # min(), because a rounded sum may exceed the next value of the table by a trifle.
    share = min(until_hour[hour] + fraction * (until_hour[hour + 1] - until_hour[hour]), until_hour[hour + 1])
    begin, end = until_day[int(day)], until_day[int(day) + 1]
    return cycle * until_day[-1] + min(begin + share * (end - begin), end)


@lru_cache(maxsize=24)
def _hours_of_day(busiest_hour: int) -> list[float]:
    # The share of a day's executions until each hour.
    distances = [min((hour - busiest_hour) % 24, (busiest_hour - hour) % 24) for hour in range(24)]
    weights = [max(0.12, 1 - distance / 9) for distance in distances]
    return [0.0, *(until / sum(weights) for until in accumulate(weights))][:24] + [1.0]


@lru_cache(maxsize=24)
def _days_of_cycle(busiest_hour: int) -> list[float]:
    # The mean hours until each day. What runs in the evening or at night also runs at weekends.
    weekend = 0.3 if busiest_hour in _OFFICE_HOURS else 1.0
    for_all, for_hour = random.Random("days"), random.Random(f"days/{busiest_hour}")
    weights = []
    for day in range(_CYCLE):
        season = 0.85 + 0.3 * abs(1 - 2 * day / _CYCLE)
        chance = (0.92 + 0.16 * for_all.random()) * (0.92 + 0.16 * for_hour.random())
        weights.append(season * chance * (weekend if day % 7 in (_SATURDAY, _SUNDAY) else 1.0))
    mean = sum(weights) / _CYCLE / 24
    return [0.0, *(until / mean for until in accumulate(weights))]
