"""Exact windows of delay per origin: (1h, 24h, 7d) x (count, sum, mean, min, max) over [t - w, t). Usage: windows-peer.py ENGINE EVENTS SPINE OUT"""
import json, resource, sys, time

engine, events, spine, out = sys.argv[1:5]
WINDOWS = (("1h", "1 hour"), ("24h", "24 hours"), ("7d", "7 days"))
AGGREGATIONS = ("count", "sum", "mean", "min", "max")

if engine == "polars":
    import polars as pl

    start = time.perf_counter()
    ev = pl.scan_parquet(events).select(pl.lit(None, pl.Int64).alias("spine_id"), "origin", "timestamp", "delay")
    sp = pl.scan_parquet(spine).select(pl.col("spine_id").cast(pl.Int64), "origin", "timestamp", pl.lit(None, pl.Float64).alias("delay"))
    df = pl.concat([ev, sp]).sort("origin", "timestamp").collect()
    result = df.select("spine_id")
    for name, _ in WINDOWS:
        rolled = df.rolling("timestamp", period=name, closed="left", group_by="origin").agg(
            pl.col("delay").count().alias(f"count_{name}"), pl.col("delay").sum().alias(f"sum_{name}"), pl.col("delay").mean().alias(f"mean_{name}"),
            pl.col("delay").min().alias(f"min_{name}"), pl.col("delay").max().alias(f"max_{name}"))
        result = result.hstack(rolled.drop("origin", "timestamp"))
    result = result.filter(pl.col("spine_id").is_not_null())
    result = result.with_columns([pl.when(pl.col(f"count_{n}") > 0).then(pl.col(f"sum_{n}")).alias(f"sum_{n}") for n, _ in WINDOWS])
    result.write_parquet(out)
else:
    import duckdb

    start = time.perf_counter()
    columns = ", ".join(f"{'avg' if a == 'mean' else a}(delay) over w{n} as {a}_{n}" for n, _ in WINDOWS for a in AGGREGATIONS)
    frames = ", ".join(f"w{n} as (partition by origin order by timestamp range between interval '{i}' preceding and interval '1 microsecond' preceding)" for n, i in WINDOWS)
    duckdb.connect().execute(f"""copy (select * from (select spine_id, {columns} from
        (select null::bigint as spine_id, origin, timestamp, delay from '{events}' union all
         select spine_id, origin, timestamp, null from '{spine}') window {frames}) where spine_id is not null) to '{out}' (format parquet)""")
seconds = time.perf_counter() - start
print(json.dumps({"seconds": seconds, "peakMb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}))
