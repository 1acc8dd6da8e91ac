"""The newest event of each route strictly before each spine row, the last in file order of one time. Usage: as-of-peer.py ENGINE EVENTS SPINE OUT"""
import json, resource, sys, time

engine, events, spine, out = sys.argv[1:5]
FIELDS = [f"f{i}" for i in range(10)]

if engine == "polars":
    import polars as pl

    start = time.perf_counter()
    ev = pl.read_parquet(events, columns=["route", "timestamp", *FIELDS]).sort("timestamp", maintain_order=True)
    sp = pl.read_parquet(spine).sort("timestamp")
    sp.join_asof(ev, on="timestamp", by="route", strategy="backward", allow_exact_matches=False).write_parquet(out)
else:
    import duckdb

    start = time.perf_counter()
    columns = ", ".join(f"e.{name}" for name in FIELDS)
    duckdb.connect().execute(f"""copy (select s.spine_id, s.route, s.timestamp, {columns} from '{spine}' s asof left join
        (select * from '{events}' qualify id = max(id) over (partition by route, timestamp)) e
        on s.route = e.route and s.timestamp > e.timestamp) to '{out}' (format parquet)""")
seconds = time.perf_counter() - start
print(json.dumps({"seconds": seconds, "peakMb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}))
