# Writes the spines that test/unit/offline/foreign-spine.test.ts reads: python make.py FOLDER pyarrow|polars (pyarrow 26.0.1, polars 2.1.0)
import decimal, os, sys
out, writer = sys.argv[1:3]
os.makedirs(out, exist_ok=True)
n = 90
START = 1704067200000
keys = [None if i % 23 == 5 else f'c{(i * 7) % 24}' for i in range(n)]
times = [START + ((i * 7919) % 4200) * 60_000 + i for i in range(n)]
factors = [i / 8 for i in range(n)]
def path(name): return os.path.join(out, name)
if writer == 'polars':
    import polars as pl
    t = pl.DataFrame({'card_id': keys, 'timestamp': times, 'factor': factors, 'row': list(range(n))}).with_columns(pl.col('timestamp').cast(pl.Datetime('ms', 'UTC')))
    t.write_parquet(path('polars.parquet'), compression='zstd', row_group_size=40)
    t.with_columns(pl.col('card_id').cast(pl.Categorical), pl.struct(['row', 'factor']).alias('pair'), pl.concat_list(['row', 'row']).alias('twice')).write_parquet(path('polars-nested.parquet'), compression='lz4', data_page_size=100)
    sys.exit()
import pyarrow as pa, pyarrow.parquet as pq
def table(unit): return pa.table({'card_id': pa.array(keys), 'timestamp': pa.array(times, pa.timestamp('ms', tz='UTC')).cast(pa.timestamp(unit, tz='UTC')), 'factor': pa.array(factors), 'row': pa.array(range(n), pa.int64())})
ms = table('ms')
pq.write_table(ms, path('snappy-int96.parquet'), compression='snappy', use_deprecated_int96_timestamps=True)
pq.write_table(table('ns'), path('nanoseconds.parquet'), compression='none', version='2.6')
pq.write_table(ms, path('v2-small-pages.parquet'), data_page_version='2.0', compression='gzip', data_page_size=60, write_batch_size=7, row_group_size=50)
pq.write_table(ms, path('dictionary-fallback.parquet'), compression='zstd', dictionary_pagesize_limit=20, data_page_size=60, write_batch_size=5)
pq.write_table(ms, path('delta.parquet'), compression='brotli', use_dictionary=False, column_encoding={'card_id': 'DELTA_BYTE_ARRAY', 'timestamp': 'DELTA_BINARY_PACKED', 'factor': 'BYTE_STREAM_SPLIT', 'row': 'DELTA_BINARY_PACKED'})
nested = {
  'l': pa.array([[i, None] if i % 2 else None for i in range(n)], pa.list_(pa.int32())),
  's': pa.array([{'a': i, 'b': [{'x': 'y' * (i % 3)}]} for i in range(n)]),
  'm': pa.array([[('a', i)] for i in range(n)], pa.map_(pa.string(), pa.int64())),
  'dec': pa.array([decimal.Decimal(i) / 100 for i in range(n)], pa.decimal128(20, 2)),
  'f16': pa.array(factors, pa.float16()), 'day': pa.array(range(n), pa.date32()), 'clock': pa.array(range(n), pa.time64('us')),
  'u64': pa.array([2**64 - 1 - i for i in range(n)], pa.uint64()), 'fixed': pa.array([b'abc'] * n, pa.binary(3)), 'none': pa.array([None] * n, pa.null()),
}
for name, column in nested.items(): ms = ms.append_column(name, column)
pq.write_table(ms, path('every-type.parquet'), compression='snappy', write_page_index=True)
