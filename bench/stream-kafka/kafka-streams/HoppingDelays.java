import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.ObjectReader;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.atomic.LongAdder;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StoreQueryParameters;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.KGroupedStream;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.processor.TimestampExtractor;
import org.apache.kafka.streams.state.KeyValueIterator;
import org.apache.kafka.streams.state.QueryableStoreTypes;
import org.apache.kafka.streams.state.WindowStore;

/**
 * The peer: count, sum and greatest delay of each station over hopping windows of 1 h every 5 min and 24 h every hour, as Kafka Streams' own operators compute them.
 * Arguments are name=value. Says FIRST when the first event was read, RUNNING when it runs and SEEN n as events come; on stdin it takes `stop N` (says READ when N events were read),
 * `dump T` (a line per window that ends at T or later, then END) and `close` (says CLOSED), and ends with its stdin.
 */
public class HoppingDelays {
  static final class Delays {
    long count;
    double sum;
    double max = Double.NEGATIVE_INFINITY;
  }

  static final class Event {
    final double delay;
    final long ts;

    Event(double delay, long ts) {
      this.delay = delay;
      this.ts = ts;
    }
  }

  static final Serde<Delays> DELAYS = Serdes.serdeFrom((topic, d) -> encode(d), (topic, bytes) -> decode(bytes));
  static final ObjectReader JSON = new ObjectMapper().readerFor(JsonNode.class);
  static final Serde<Event> EVENT = Serdes.serdeFrom((topic, event) -> null, (topic, bytes) -> parse(bytes));
  static final LongAdder seen = new LongAdder();
  static final PrintStream out = System.out;

  static byte[] encode(Delays d) {
    return d == null ? null : ByteBuffer.allocate(24).putLong(d.count).putDouble(d.sum).putDouble(d.max).array();
  }

  static Delays decode(byte[] bytes) {
    if (bytes == null) return null;
    ByteBuffer buffer = ByteBuffer.wrap(bytes);
    Delays d = new Delays();
    d.count = buffer.getLong();
    d.sum = buffer.getDouble();
    d.max = buffer.getDouble();
    return d;
  }

  static Event parse(byte[] bytes) {
    try {
      JsonNode node = JSON.readTree(bytes);
      return new Event(node.get("delay").asDouble(), node.get("ts").asLong());
    } catch (Exception error) {
      throw new RuntimeException(error);
    }
  }

  static Delays add(Delays d, Event event) {
    d.count++;
    d.sum += event.delay;
    if (event.delay > d.max) d.max = event.delay;
    return d;
  }

  public static final class EventTime implements TimestampExtractor {
    public long extract(ConsumerRecord<Object, Object> record, long partitionTime) {
      return ((Event) record.value()).ts;
    }
  }

  static synchronized void say(String line) {
    out.println(line);
    out.flush();
  }

  public static void main(String[] args) throws Exception {
    Map<String, String> options = new HashMap<>();
    for (String arg : args) options.put(arg.substring(0, arg.indexOf('=')), arg.substring(arg.indexOf('=') + 1));
    StreamsBuilder builder = new StreamsBuilder();
    boolean[] isFirst = {true};
    KGroupedStream<String, Event> events = builder
      .stream(options.get("topic"), Consumed.with(Serdes.String(), EVENT))
      .peek((key, event) -> {
        if (isFirst[0]) {
          isFirst[0] = false;
          say("FIRST");
        }
        seen.increment();
      })
      .groupByKey(Grouped.with(Serdes.String(), EVENT));
    window(events, "1h", Duration.ofHours(1), Duration.ofMinutes(5));
    window(events, "24h", Duration.ofHours(24), Duration.ofHours(1));
    KafkaStreams streams = new KafkaStreams(builder.build(), settings(options));
    streams.setStateListener((now, before) -> {
      if (now == KafkaStreams.State.RUNNING) say("RUNNING");
    });
    streams.start();
    Thread sayer = new Thread(() -> saySeen());
    sayer.setDaemon(true);
    sayer.start();
    BufferedReader asked = new BufferedReader(new InputStreamReader(System.in));
    for (String line; (line = asked.readLine()) != null;) {
      if (line.startsWith("stop ")) {
        while (seen.sum() < Long.parseLong(line.substring(5))) Thread.sleep(10);
        say("READ");
      } else if (line.startsWith("dump ")) {
        dump(streams, Long.parseLong(line.substring(5)));
        say("END");
      } else if (line.equals("close")) {
        streams.close(Duration.ofSeconds(60));
        say("CLOSED");
      }
    }
    Runtime.getRuntime().halt(0);
  }

  static void window(KGroupedStream<String, Event> events, String name, Duration length, Duration hop) {
    events
      .windowedBy(TimeWindows.ofSizeAndGrace(length, Duration.ofMinutes(10)).advanceBy(hop))
      .aggregate(Delays::new, (key, event, delays) -> add(delays, event),
        Materialized.<String, Delays, WindowStore<Bytes, byte[]>>as(name).withKeySerde(Serdes.String()).withValueSerde(DELAYS));
  }

  static Properties settings(Map<String, String> options) {
    Properties p = new Properties();
    p.put(StreamsConfig.APPLICATION_ID_CONFIG, options.get("application"));
    p.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, options.get("bootstrap"));
    p.put(StreamsConfig.STATE_DIR_CONFIG, options.get("folder"));
    p.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, Integer.parseInt(options.get("threads")));
    p.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, options.get("guarantee"));
    p.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, 64L << 20);
    p.put(StreamsConfig.DEFAULT_TIMESTAMP_EXTRACTOR_CLASS_CONFIG, EventTime.class);
    p.put(StreamsConfig.consumerPrefix(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG), "earliest");
    p.put(StreamsConfig.consumerPrefix(ConsumerConfig.MAX_POLL_RECORDS_CONFIG), 1000);
    if (options.containsKey("member")) p.put(StreamsConfig.consumerPrefix(ConsumerConfig.GROUP_INSTANCE_ID_CONFIG), options.get("member"));
    p.put(StreamsConfig.producerPrefix(ProducerConfig.LINGER_MS_CONFIG), 50);
    return p;
  }

  /** Ten times a second while it changes. */
  static void saySeen() {
    for (long last = 0;;) {
      long now = seen.sum();
      if (now != last) say("SEEN " + now);
      last = now;
      try {
        Thread.sleep(100);
      } catch (InterruptedException error) {
        return;
      }
    }
  }

  static void dump(KafkaStreams streams, long from) {
    dump(streams, "1h", 3_600_000L, from);
    dump(streams, "24h", 86_400_000L, from);
  }

  static void dump(KafkaStreams streams, String name, long length, long from) {
    var store = streams.store(StoreQueryParameters.fromNameAndType(name, QueryableStoreTypes.<String, Delays>windowStore()));
    StringBuilder lines = new StringBuilder();
    try (KeyValueIterator<org.apache.kafka.streams.kstream.Windowed<String>, Delays> found = store.all()) {
      while (found.hasNext()) {
        var entry = found.next();
        long end = entry.key.window().start() + length;
        if (end < from) continue;
        lines.append("W ").append(name).append(' ').append(end).append(' ').append(entry.key.key()).append(' ').append(entry.value.count)
          .append(' ').append(entry.value.sum).append(' ').append(entry.value.max).append('\n');
      }
    }
    out.print(lines);
    out.flush();
  }
}
