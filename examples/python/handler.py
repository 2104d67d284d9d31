import json


def hello(event, context):
    body = json.loads(event.get("body") or "{}")
    name = body.get("name", "world")
    print("saying hello to", name)
    return {"statusCode": 200, "body": json.dumps({"message": f"Hello, {name}!"})}
