"""get_online_features by feature list for one random route, in one thread. usage: in_process.py SECONDS"""
import json
import random
import sys
import time

from feast import FeatureStore

store = FeatureStore(".")
features = [f"v{n}:r{i:02d}" for n, (a, b) in enumerate([(0, 13), (13, 26), (26, 38), (38, 50)]) for i in range(a, b)]
routes = [json.loads(line)["route"] for line in open("vectors.jsonl")]
rnd = random.Random(7)


def read():
    rows = [{"route": rnd.choice(routes)}]
    start = time.perf_counter()
    store.get_online_features(features=features, entity_rows=rows).to_dict()
    return time.perf_counter() - start


for _ in range(200):
    read()
end = time.perf_counter() + float(sys.argv[1])
times = []
while time.perf_counter() < end:
    times.append(read())
times.sort()
print(json.dumps({"calls": len(times), "p50Ms": times[len(times) // 2] * 1e3, "p99Ms": times[int(len(times) * 0.99)] * 1e3}))
