"""vectors.jsonl ({"route", "values"}) -> vectors.parquet, the source of the online store."""
import json
from datetime import datetime

import pyarrow as pa
import pyarrow.parquet as pq

rows = [json.loads(line) for line in open("vectors.jsonl")]
table = {"route": [r["route"] for r in rows], "event_timestamp": [datetime(2001, 6, 30, 23)] * len(rows)}
for i in range(50):
    table[f"r{i:02d}"] = pa.array([r["values"][i] for r in rows], pa.float64())
pq.write_table(pa.table(table), "vectors.parquet")
