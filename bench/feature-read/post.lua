-- wrk script: POST to $TARGET a random line of the file $BODIES, as JSON. Both servers are loaded with it.
local bodies = {}
for line in io.lines(os.getenv("BODIES")) do bodies[#bodies + 1] = line end
math.randomseed(7)
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
local target = os.getenv("TARGET")
request = function() return wrk.format(nil, target, nil, bodies[math.random(#bodies)]) end
done = function(s, l, r)
  io.write(string.format('{"requestsPerSecond":%.1f,"p50Ms":%.3f,"p99Ms":%.3f,"requests":%d,"refused":%d,"broken":%d,"replyBytes":%.0f}\n',
    s.requests / (s.duration / 1e6), l:percentile(50) / 1e3, l:percentile(99) / 1e3, s.requests, s.errors.status,
    s.errors.connect + s.errors.read + s.errors.write + s.errors.timeout, s.bytes / math.max(1, s.requests)))
end
