"""Delays two jobs with pyres, the second for an hour longer.

Arguments: PORT QUEUE TIMESTAMP
"""
import sys
from datetime import datetime, timedelta

from pyres import ResQ

port, queue, timestamp = sys.argv[1:]
resq = ResQ(f"127.0.0.1:{port}")
# pyres takes local times.
at = datetime.fromtimestamp(int(timestamp))
resq.enqueue_at_from_string(at, "reports.Daily", queue, "é/", {"deep": [1, 2.5, True]}, [])
resq.enqueue_at_from_string(at + timedelta(hours=1), "reports.Daily", queue)
