# Writes the Arrow files that the tests read, with pyarrow 26.0.1: python make.py FOLDER
import pyarrow as pa, pyarrow.ipc as ipc, pyarrow.feather as feather, datetime as dt, decimal, sys, os
out=sys.argv[1]; os.makedirs(out,exist_ok=True)
N=None
cols={
 'b': pa.array([True,N,False,True]),
 'i8': pa.array([-128,N,127,0],pa.int8()), 'u16': pa.array([0,N,65535,1],pa.uint16()),
 'i32': pa.array([-2**31,N,2**31-1,0],pa.int32()), 'u32': pa.array([0,N,2**32-1,1],pa.uint32()),
 'i64': pa.array([-2**63,N,2**63-1,2**53+1],pa.int64()), 'u64': pa.array([0,N,2**63-1,2**53+1],pa.uint64()),
 'f16': pa.array([0.5,N,-2.25,6.1e-5],pa.float16()) , 'f32': pa.array([0.1,N,-0.0,1e30],pa.float32()), 'f64': pa.array([0.1,N,5e-324,1e308],pa.float64()),
 's': pa.array(['',N,'grüße \u2028','x'*40]), 'ls': pa.array(['a',N,'b',''],pa.large_string()),
 'sv': pa.array(['short',N,'longer than twelve bytes','']).cast(pa.string_view()),
 'd': pa.array(['x',N,'y','x']).dictionary_encode(),
 'by': pa.array([b'',N,b'\x00\xff',b'abc'],pa.binary()), 'fb': pa.array([b'abcd',N,b'\x00\x01\x02\x03',b'zzzz'],pa.binary(4)),
 'ts_s': pa.array([0,N,-1,1700000000],pa.timestamp('s','UTC')), 'ts_ms': pa.array([0,N,-1,1700000000123],pa.timestamp('ms','UTC')),
 'ts_us': pa.array([0,N,-1,1700000000123456],pa.timestamp('us')), 'ts_ns': pa.array([0,N,-1,1700000000123456789],pa.timestamp('ns')),
 'day': pa.array([dt.date(1970,1,1),N,dt.date(1969,12,31),dt.date(2024,2,29)]), 'day64': pa.array([dt.date(1970,1,1),N,dt.date(1969,12,31),dt.date(2024,2,29)],pa.date64()),
 'tm': pa.array([0,N,1,86399999999],pa.time64('us')),
 'dec': pa.array([decimal.Decimal('-1.25'),N,decimal.Decimal('99999999999999.99'),decimal.Decimal('0')],pa.decimal128(16,2)),
 'l': pa.array([[1.5,N],N,[],[2.0]],pa.list_(pa.float64())), 'fl': pa.array([[1.0,2.0],N,[3.0,4.0],[5.0,6.0]],pa.list_(pa.float32(),2)),
 'm': pa.array([[('a',1),('b',N)],N,[],[('c',3)]],pa.map_(pa.string(),pa.int64())),
 'nn': pa.array([N,N,N,N]),
}
t=pa.table(cols)
def write(name,table,stream=False,comp=None,size=None):
    p=os.path.join(out,name)
    o=ipc.IpcWriteOptions(compression=comp)
    w=(ipc.new_stream if stream else ipc.new_file)(p,table.schema,options=o)
    with w: w.write_table(table,max_chunksize=size) if size else w.write_table(table)
write('all.arrow',t)
write('all-stream.arrow',t,stream=True,size=3)
write('all-lz4.arrow',t,comp='lz4',size=3)
write('all-zstd.arrow',t,comp='zstd')
feather.write_feather(pa.table({'k':['a','b','a']*200,'v':list(range(600))}),os.path.join(out,'default.feather'))
write('struct.arrow',pa.table({'st':pa.array([{'a':1}])}))
write('empty.arrow',pa.table({'a':pa.array([],pa.int64())}))
write('wide-u64.arrow',pa.table({'u':pa.array([2**64-1],pa.uint64())}))

# With polars 2.1.0, where it is installed: its files have no length before the first message.
try:
    import polars as pl
except ImportError:
    sys.exit()
d=pl.DataFrame({'s':['a',None,'longer than twelve bytes'],'c':pl.Series(['x','y',None],dtype=pl.Categorical),'i':[1,None,2**53+1],'f':[0.1,None,-0.0],'b':[True,None,False],'t':pl.Series([dt.datetime(2024,1,1),None,dt.datetime(1969,12,31,23,59,59,999999)],dtype=pl.Datetime('us')),'l':[[1.5,2.0],None,[]],'by':[b'ab',None,b'']})
d.write_ipc(os.path.join(out,'polars.arrow')); d.write_ipc(os.path.join(out,'polars-zstd.arrow'),compression='zstd')
