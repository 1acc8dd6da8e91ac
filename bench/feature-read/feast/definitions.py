from datetime import timedelta

from feast import Entity, FeatureView, Field, FileSource, ValueType
from feast.types import Float64

route = Entity(name="route", join_keys=["route"], value_type=ValueType.STRING)
source = FileSource(name="vectors", path="vectors.parquet", timestamp_field="event_timestamp")
v0, v1, v2, v3 = [
    FeatureView(
        name=f"v{n}", entities=[route], ttl=timedelta(days=0), online=True, source=source,
        schema=[Field(name=f"r{i:02d}", dtype=Float64) for i in range(a, b)])
    for n, (a, b) in enumerate([(0, 13), (13, 26), (26, 38), (38, 50)])
]
