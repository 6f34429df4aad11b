"""Reads an interval log with hdrhistogram for Python, and prints what it found as JSON.

    python read.py FILE.hlog
"""

import json
import sys

from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader


def empty():
    return HdrHistogram(1, 3_600_000_000, 3)


found = {}
reader = HistogramLogReader(sys.argv[1], empty())
while (interval := reader.get_next_interval_histogram()) is not None:
    told = found.setdefault(
        interval.get_tag(), {"intervals": 0, "starts_ms": [], "ends_ms": [], "sum": empty()}
    )
    told["intervals"] += 1
    told["starts_ms"].append(round(interval.get_start_time_stamp()))
    told["ends_ms"].append(round(interval.get_end_time_stamp()))
    told["sum"].add(interval)

for told in found.values():
    total = told.pop("sum")
    told["count"] = total.get_total_count()
    told["max"] = total.get_max_value()
    told["percentiles"] = {str(p): total.get_value_at_percentile(p) for p in (50, 90, 95, 99, 99.9, 99.99)}
    told["recorded"] = [
        [value.value_iterated_to, value.count_added_in_this_iter_step]
        for value in total.get_recorded_iterator()
    ]
print(json.dumps(found))
