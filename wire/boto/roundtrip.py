"""Calls the operations of the stubs with inputs made up after botocore's models, tells the stub beforehand what to
answer, and compares both; then has it fail: roundtrip.py ENDPOINT SIDE. One line for each operation: its name, a tab, what went wrong.
"""
import base64
import datetime
import json
import random
import string
import sys
import urllib.request

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

endpoint, side = sys.argv[1:3]
seed = random.randrange(1 << 32)
rnd = random.Random(seed)

# What botocore puts into a request, or takes out of a reply, by itself.
ADDED = {
    "s3": {"ChecksumAlgorithm", "ChecksumMode", "ContentMD5", "ChecksumCRC32", "ContentEncoding", "ContentLength", "EncodingType"},
    "*": set(),
}
# Members whose values botocore checks or changes: what they must be, or None to leave them out.
GIVEN = {
    ("s3", "Bucket"): "a-bucket", ("s3", "Key"): "dir/k ü+&", ("s3", "EncodingType"): None, ("s3", "ContentMD5"): None, ("s3", "ContentLength"): None,
    ("s3", "Expires"): None,  # kept beside as ExpiresString
    ("s3", "ContentEncoding"): None, ("s3", "ChecksumAlgorithm"): None, ("s3", "SSECustomerKey"): None, ("s3", "SSECustomerKeyMD5"): None,
    ("s3", "ChecksumMode"): None, ("s3", "SSECustomerAlgorithm"): None,
    ("ec2", "UserData"): None,  # base64 of the caller's text
    ("events", "EndpointId"): None, ("sesv2", "EndpointId"): None,  # another host, another signature
    ("lambda", "LogResult"): "TE9H",
    ("route53", "HostedZoneId"): "Z123", ("route53", "Id"): "id",
    ("cloudformation", "TemplateBody"): "{}",
}


def text(minimum=1, plain=False):
    letters = string.ascii_letters + string.digits
    if not plain:
        letters += " <>&'\"\\/+%=;:é€😀\t"
    s = "".join(rnd.choice(letters) for _ in range(max(minimum, rnd.randint(1, 12))))
    return s if plain else "a" + s + "z"  # white space at the ends is lost in XML and headers


def value(svc, shape, name, depth, plain, output):
    if (svc, name) in GIVEN:
        return GIVEN[svc, name]
    kind = shape.type_name
    if getattr(shape, "is_document_type", False):
        return {"k": ["v", 1.5, True, None]}
    if kind == "structure":
        return structure(svc, shape, depth + 1, output)
    if kind == "list":
        n = max(shape.metadata.get("min", 0), 0 if depth > 4 else 2)
        return [value(svc, shape.member, name + "[]", depth + 1, plain, output) for _ in range(min(n, shape.metadata.get("max", n)))]
    if kind == "map":
        n = 0 if depth > 4 else 2
        keys = shape.key.enum if getattr(shape.key, "enum", None) else None
        m = {}
        for i in range(n):
            k = keys[i % len(keys)] if keys else text(plain=True).lower()
            m[k] = value(svc, shape.value, name + "{}", depth + 1, plain, output)
        return m
    if kind in ("string", "character"):
        if getattr(shape, "enum", None):
            return rnd.choice(shape.enum)
        return text(shape.metadata.get("min", 1), plain)
    if kind == "blob":
        if shape.serialization.get("streaming") and not output:
            return bytes(rnd.randrange(256) for _ in range(3000))
        return bytes(rnd.randrange(256) for _ in range(max(shape.metadata.get("min", 1), rnd.randint(1, 40))))
    if kind == "boolean":
        return rnd.random() < 0.5
    if kind in ("integer", "long", "short", "byte"):
        low = shape.metadata.get("min", 0 if output else 1)
        high = shape.metadata.get("max", low + 1000)
        return rnd.randint(int(low), int(min(high, low + 1000)))
    if kind in ("float", "double"):
        low = shape.metadata.get("min", 0)
        return low + rnd.randrange(1, 64) / 64
    if kind == "timestamp":
        return datetime.datetime.fromtimestamp(rnd.randrange(0, 4_000_000_000), datetime.timezone.utc)
    raise SystemExit(f"no value for {kind}")


def structure(svc, shape, depth, output):
    members = list(shape.members.items())
    if getattr(shape, "is_tagged_union", False) or getattr(shape, "is_eventstream", False):
        members = [rnd.choice([m for m in members if depth < 5 or m[1].type_name not in ("structure", "list", "map")] or members)]
    elif depth > 4:
        members = [m for m in members if m[0] in shape.required_members or m[1].type_name not in ("structure", "list", "map")]
    out = {}
    for name, m in members:
        where = m.serialization.get("location")
        if where == "statusCode":
            out[name] = 200
            continue
        v = value(svc, m, name, depth, where is not None, output)
        if v is None or m.serialization.get("eventstream"):
            continue
        out[name] = v
    return out


def plain_json(v):
    """The form in which the stub speaks: blobs as base64, times as seconds."""
    if isinstance(v, (bytes, bytearray)):
        return base64.b64encode(v).decode()
    if isinstance(v, datetime.datetime):
        return v.timestamp()
    if isinstance(v, dict):
        return {k: plain_json(e) for k, e in v.items()}
    if isinstance(v, list):
        return [plain_json(e) for e in v]
    return v


def difference(path, got, want):
    if isinstance(want, dict) and isinstance(got, dict):
        for k in want:
            if k not in got:
                if want[k] in ([], {}):
                    continue  # nothing on the wire
                return f"{path}.{k} is missing"
            if d := difference(f"{path}.{k}", got[k], want[k]):
                return d
        extra = [k for k in got if k not in want]
        return f"{path} has {extra} besides" if extra else ""
    if isinstance(want, list) and isinstance(got, list):
        if len(got) != len(want):
            return f"{path} has {len(got)} elements, want {len(want)}"
        for i, (g, w) in enumerate(zip(got, want)):
            if d := difference(f"{path}[{i}]", g, w):
                return d
        return ""
    if isinstance(want, float) or isinstance(got, float):
        same = isinstance(got, (int, float)) and abs(got - want) < 1e-6 * max(1, abs(want))
    else:
        same = got == want and isinstance(got, bool) == isinstance(want, bool)
    return "" if same else f"{path} is {got!r}, want {want!r}"


def tell(output):
    request = urllib.request.Request(side, json.dumps(plain_json(output)).encode(), method="POST")
    urllib.request.urlopen(request).read()


def asked():
    return json.load(urllib.request.urlopen(side))


def events_of(svc, shape):
    """Two events of an output that has a stream of them."""
    for name, m in shape.members.items():
        if m.serialization.get("eventstream") or getattr(m, "is_eventstream", False):
            kinds = [k for k, e in m.members.items() if not e.metadata.get("exception")]
            return name, [{k: structure(svc, m.members[k], 1, True)} for k in kinds]
    return None, None


def call(svc, client, model):
    if model.input_shape:
        params = structure(svc, model.input_shape, 0, False)
    else:
        params = {}
    output = structure(svc, model.output_shape, 0, True) if model.output_shape else {}
    output = {k: v for k, v in output.items() if not k.startswith("Checksum")}  # they would have to be right
    stream, events = events_of(svc, model.output_shape) if model.output_shape else (None, None)
    told = dict(output)
    if stream:
        told[stream], output[stream] = events, events
    tell(told)
    got = getattr(client, client_method(client, model.name))(**params)
    got.pop("ResponseMetadata", None)
    for k, v in got.items():
        if k == stream:
            got[k] = list(v)
        elif hasattr(v, "read"):
            got[k] = v.read()
    ignore = ADDED.get(svc, set())
    for k, m in (model.input_shape.members.items() if params else ()):
        if m.serialization.get("jsonvalue") and k in params:
            params[k] = json.dumps(params[k])  # the stub holds its text
    arrived = {k: v for k, v in asked().items() if k in params or k not in ignore}
    if d := difference("input", arrived, plain_json(params)):
        return d
    got = {k: v for k, v in plain_json(got).items() if k in output or k not in ("ExpiresString", "ContentLength")}
    return difference("output", got, plain_json(output))


def fail(svc, client, model):
    """Calls an operation that answers with an error of the model."""
    if not model.error_shapes:
        return ""
    shape = rnd.choice(model.error_shapes)
    params = structure(svc, model.input_shape, 0, False) if model.input_shape else {}
    tell({"__fault": shape.name, "message": "no <such> thing & more"})
    try:
        getattr(client, client_method(client, model.name))(**params)
    except ClientError as e:
        error = e.response["Error"]
        code = shape.metadata.get("error", {}).get("code") or shape.name
        if error["Code"] not in (code, shape.name):
            return f"the error {shape.name} came as {error}"
        has_message = any(m.lower() == "message" for m in shape.members) or client.meta.service_model.metadata["protocol"] in ("query", "ec2", "rest-xml")
        if has_message and error.get("Message") != "no <such> thing & more":
            return f"the message of {shape.name} came as {error}"
        return ""
    return f"the error {shape.name} did not come"


def client_method(client, operation):
    for method, name in client.meta.method_to_api_mapping.items():
        if name == operation:
            return method
    raise SystemExit(f"boto3 has no {operation}")


def main():
    wanted = json.load(urllib.request.urlopen(side + "/operations"))
    print("seed", seed, file=sys.stderr)
    for svc, operations in wanted.items():
        client = boto3.client(svc, endpoint_url=endpoint, config=Config(
            inject_host_prefix=False, retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}, read_timeout=20,
            request_min_compression_size_bytes=1))  # so that operations which may compress do
        for name in operations:
            try:
                model = client.meta.service_model.operation_model(name)
                problem = call(svc, client, model) or fail(svc, client, model)
            except Exception as e:
                problem = f"{type(e).__name__}: {e}"
            print(f"{svc}.{name}\t{problem}".replace("\n", " "), flush=True)


main()
