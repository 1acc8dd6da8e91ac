# Writes the records that the tests of source formats read, with Confluent's serializers for Python (confluent-kafka 2.16.1, fastavro 1.13.1, protobuf 7.36.2, grpcio-tools):
#   pip install 'confluent-kafka[avro,schemaregistry,protobuf,json]==2.16.1' grpcio-tools && python make.py FOLDER
# Values of `event` are what a column of the field's kind holds: int64 as text, bytes as base64, times as epoch milliseconds.
import base64, datetime as dt, decimal, json, os, sys, uuid
from confluent_kafka.schema_registry import SchemaRegistryClient, Schema, header_schema_id_serializer, prefix_schema_id_serializer
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.schema_registry.json_schema import JSONSerializer
from confluent_kafka.serialization import SerializationContext, MessageField
import fastavro, io

out = sys.argv[1]
os.makedirs(out, exist_ok=True)
b64 = lambda b: base64.b64encode(b).decode()
registry = SchemaRegistryClient.new_client({'url': 'mock://x'})

def save(name, value):
    with open(os.path.join(out, name), 'w') as f:
        f.write(json.dumps(value, indent=1, ensure_ascii=True) + '\n')

def framed(serializer, value, topic):
    headers = []
    data = serializer(value, SerializationContext(topic, MessageField.VALUE, headers))
    return data, [[k, b64(v)] for k, v in headers]

avro = {'type': 'record', 'name': 'Payment', 'namespace': 'shop', 'fields': [
    {'name': 'ignored', 'type': {'type': 'map', 'values': {'type': 'array', 'items': ['null', 'string', 'double']}}},
    {'name': 'ok', 'type': 'boolean'},
    {'name': 'small', 'type': 'int'},
    {'name': 'big', 'type': 'long'},
    {'name': 'half', 'type': 'float'},
    {'name': 'amount', 'type': 'double'},
    {'name': 'note', 'type': ['null', 'string'], 'default': None},
    {'name': 'raw', 'type': 'bytes'},
    {'name': 'four', 'type': {'type': 'fixed', 'name': 'Four', 'size': 4}},
    {'name': 'channel', 'type': {'type': 'enum', 'name': 'Channel', 'symbols': ['web', 'shop', 'phone']}},
    {'name': 'tree', 'type': ['null', {'type': 'record', 'name': 'Tree', 'fields': [
        {'name': 'value', 'type': 'long'}, {'name': 'children', 'type': {'type': 'array', 'items': 'Tree'}}]}]},
    {'name': 'place', 'type': {'type': 'array', 'items': 'float'}},
    {'name': 'paid_at', 'type': {'type': 'long', 'logicalType': 'timestamp-millis'}},
    {'name': 'seen_at', 'type': ['null', {'type': 'long', 'logicalType': 'timestamp-micros'}]},
    {'name': 'id', 'type': {'type': 'string', 'logicalType': 'uuid'}},
    {'name': 'price', 'type': {'type': 'bytes', 'logicalType': 'decimal', 'precision': 12, 'scale': 2}},
]}
UTC = dt.timezone.utc
def payment(i):
    at = dt.datetime(2024, 2, 29, 23, 59, 59, 999000, UTC) + dt.timedelta(hours=i)
    seen = None if i % 3 == 0 else dt.datetime(1969, 12, 31, 23, 59, 59, 999999 - i, UTC)
    small = [0, -1, 2**31 - 1, -2**31, 63, -64, 64][i]
    big = [0, 2**63 - 1, -2**63, 2**53 + 1, -2**53, 12345678901, -1][i]
    amount = [0.1, -0.0, 5e-324, 1.7976931348623157e308, -2.5, 1e16, 100.0][i]
    note = [None, '', 'gr\u00fc\u00dfe \u2028', '\U0001f600', 'x' * 300, 'a', None][i]
    tree = None if i % 2 else {'value': i, 'children': [{'value': 1, 'children': []}, {'value': -2, 'children': [{'value': 3, 'children': []}]}]}
    value = {'ignored': {'k%d' % j: [None, 's', 1.5] * j for j in range(i)}, 'ok': i % 2 == 0, 'small': small, 'big': big, 'half': i / 8, 'amount': amount,
             'note': note, 'raw': bytes(range(i)), 'four': bytes([0, 255, i, 7]), 'channel': ['web', 'shop', 'phone'][i % 3], 'tree': tree, 'place': [i / 2, -1.5, 0.0],
             'paid_at': at, 'seen_at': seen, 'id': str(uuid.UUID(int=i * 12345678901234567890)), 'price': decimal.Decimal(i) / 4}
    ms = lambda t: None if t is None else (t - dt.datetime(1970, 1, 1, tzinfo=UTC)) // dt.timedelta(milliseconds=1)
    event = {'ok': value['ok'], 'small': small, 'big': str(big), 'half': value['half'], 'amount': amount, 'note': note, 'raw': b64(value['raw']), 'four': b64(value['four']),
             'channel': value['channel'], 'place': value['place'], 'paid_at': ms(at), 'seen_at': ms(seen), 'id': value['id']}
    return value, event

prefix = AvroSerializer(registry, json.dumps(avro))
header = AvroSerializer(registry, json.dumps(avro), conf={'schema.id.serializer': header_schema_id_serializer})
records = []
for i in range(7):
    value, event = payment(i)
    plain = io.BytesIO()
    fastavro.schemaless_writer(plain, avro, value)
    by_id, _ = framed(prefix, value, 'payments')
    by_guid, headers = framed(header, value, 'payments')
    records.append({'plain': b64(plain.getvalue()), 'framed': b64(by_id), 'value': b64(by_guid), 'headers': headers, 'event': event})
registered = registry.get_latest_version('payments-value')
save('avro.json', {'schema': avro, 'id': registered.schema_id, 'guid': registered.guid, 'records': records})

json_schema = {'$schema': 'http://json-schema.org/draft-07/schema#', 'title': 'Click', 'type': 'object', 'properties': {'at': {'type': 'integer'}, 'who': {'type': 'string'}}}
to_json = JSONSerializer(json.dumps(json_schema), registry)
save('json-schema.json', {'records': [{'framed': b64(framed(to_json, value, 'clicks')[0]), 'event': value} for value in [{'at': 1, 'who': 'a'}, {'at': 2, 'who': 'gr\u00fc\u00dfe'}]]})

proto = '''syntax = "proto3";
package shop;
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";
message Other {
  string id = 1;
}
message Outer {
  message Payment {
    enum Channel {
      WEB = 0;
      SHOP = 1;
    }
    message Line {
      string what = 1;
      repeated Line lines = 2;
    }
    bool ok = 1;
    int32 small = 2;
    sint64 big = 3;
    float half = 4;
    double amount = 5;
    optional string note = 6;
    bytes raw = 7;
    Channel channel = 8;
    repeated float place = 9;
    google.protobuf.Timestamp paid_at = 10;
    google.protobuf.Timestamp seen_at = 11;
    string id = 12;
    google.protobuf.DoubleValue limit = 13;
    fixed64 place_id = 14;
    repeated Line lines = 500;
    map<string, int32> counts = 501;
    oneof by {
      string card = 20;
      int32 cash = 21;
    }
  }
}
'''
import tempfile, importlib
from grpc_tools import protoc
import grpc_tools
from confluent_kafka.schema_registry.protobuf import ProtobufSerializer
folder = tempfile.mkdtemp()
with open(os.path.join(folder, 'payment.proto'), 'w') as f:
    f.write(proto)
assert protoc.main(['', '-I' + folder, '-I' + os.path.join(os.path.dirname(grpc_tools.__file__), '_proto'), '--python_out=' + folder, os.path.join(folder, 'payment.proto')]) == 0
sys.path.insert(0, folder)
Payment = importlib.import_module('payment_pb2').Outer.Payment
to_protobuf = ProtobufSerializer(Payment, registry, {'use.deprecated.format': False})
records = []
for i in range(7):
    _, event = payment(i)
    # What proto3 gives an absent field: the zero of its type.
    value = Payment(ok=event['ok'], small=event['small'], big=int(event['big']), half=event['half'], amount=event['amount'], raw=base64.b64decode(event['raw']),
                    channel=i % 2, place=event['place'], id=event['id'], place_id=2**63 - 1 if i == 3 else i, counts={'a': i})
    if event['note'] is not None: value.note = event['note']
    if event['seen_at'] is not None: value.seen_at.FromMicroseconds(event['seen_at'] * 1000 + 999)
    value.paid_at.FromMicroseconds(event['paid_at'] * 1000)
    if i % 2: value.limit.value = i / 4
    if i % 3 == 0: value.card = 'c%d' % i
    if i % 3 == 1: value.cash = i
    line = value.lines.add(what='x')
    line.lines.add(what='y').lines.add(what='z')
    event = {**{k: v for k, v in event.items() if k != 'four'}, 'channel': ['WEB', 'SHOP'][i % 2], 'limit': i / 4 if i % 2 else None,
             'place_id': str(2**63 - 1 if i == 3 else i), 'card': 'c%d' % i if i % 3 == 0 else None}
    records.append({'plain': b64(value.SerializeToString()), 'framed': b64(framed(to_protobuf, value, 'payments-pb')[0]), 'event': event})
registered = registry.get_latest_version('payments-pb-value')
save('protobuf.json', {'schema': proto, 'id': registered.schema_id, 'message': 'shop.Outer.Payment', 'records': records})
