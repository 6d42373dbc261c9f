"""Takes COUNT jobs from QUEUE with pyres, performs them, and prints each as JSON.

Arguments: PORT QUEUE COUNT
"""
import json
import sys
import types

from pyres import ResQ
from pyres.job import Job


class Daily:
    @staticmethod
    def perform(*args):
        print(json.dumps({"class": "reports.Daily", "args": args}))


# pyres imports the module in front of the class name.
sys.modules["reports"] = types.ModuleType("reports")
sys.modules["reports"].Daily = Daily

port, queue, count = sys.argv[1:]
resq = ResQ(f"127.0.0.1:{port}")
for _ in range(int(count)):
    Job.reserve([queue], resq).perform()
