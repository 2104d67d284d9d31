"""The Python runtime of Lambent: talks the Lambda Runtime API over one bare socket and runs the handler.

See package runtimes for the talk of a stem cell, and AWS's documentation for everything a handler can see.
It stays with Python 3.6 and imports little: http.client alone would cost 40 ms of every cold start.
"""

import builtins
import io
import json
import logging
import os
import sys
import time
import traceback
from _thread import RLock
from _socket import AF_INET, IPPROTO_TCP, SOCK_STREAM, TCP_NODELAY, socket
from _sitebuiltins import Quitter
from importlib import import_module

API = "/2018-06-01/runtime/"


class Connection:
    """HTTP/1.1 over one kept connection. A reply always has a Content-Length. Requests may be pipelined."""

    def __init__(self, address):
        host, port = address.rsplit(":", 1)
        self.host = address
        self.buffer = b""
        self.socket = socket(AF_INET, SOCK_STREAM)
        self.socket.connect((host, int(port)))
        self.socket.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)

    def frame(self, method, target, body=None, headers=""):
        head = "%s %s HTTP/1.1\r\nHost: %s\r\n%s" % (method, target, self.host, headers)
        if body is None:
            return (head + "\r\n").encode()
        return ("%sContent-Length: %d\r\n\r\n" % (head, len(body))).encode() + body

    def send(self, data):
        self.socket.sendall(data)

    def receive(self):
        """Return status, head and body of the next reply."""
        data = self.buffer
        while True:
            end = data.find(b"\r\n\r\n")
            if end >= 0:
                break
            data += self.more()
        head = data[:end].decode("latin-1")
        total = end + 4 + int(header_of(head, "Content-Length") or 0)
        if len(data) < total:
            parts, size = [data], len(data)
            while size < total:
                parts.append(self.more())
                size += len(parts[-1])
            data = b"".join(parts)
        self.buffer = data[total:]
        return int(head[9:12]), head, data[end + 4 : total]

    def more(self):
        data = self.socket.recv(65536)
        if not data:
            os._exit(1)  # without its cloud a runtime has nothing to do
        return data


def header_of(head, name):
    """Return the value of a header in a reply's head, None when there is none. Lambent writes names in one way."""
    begin = head.find("\r\n%s: " % name)
    if begin < 0:
        return None
    begin += len(name) + 4
    end = head.find("\r\n", begin)
    return head[begin:] if end < 0 else head[begin:end]


# ---- Logging ----


class Log:
    """Where log records go: a frame on the log descriptor, or a line on stdout."""

    fd = -1
    lock = RLock()  # frames of several threads must not mix

    def write(self, text):
        if self.fd < 0:
            sys.stdout.write(text.rstrip("\n").replace("\n", "\r") + "\n")
            sys.stdout.flush()
            return
        self.records([text.encode("utf-8", "backslashreplace")])

    def records(self, bodies):
        stamp = int(time.time() * 1000000).to_bytes(8, "big")
        frames = b"".join([b"\xa5\x5a\x00\x03" + len(body).to_bytes(4, "big") + stamp + body for body in bodies])
        with self.lock:
            write_all(self.fd, frames)


def write_all(fd, data):
    while data:
        data = data[os.write(fd, data) :]


log = Log()


class Lines(io.RawIOBase):
    """What stands under sys.stdout and sys.stderr: a whole line is a log record, so that what is printed and what is logged
    stay in one order. The beginning of a line goes to the descriptor, where the cloud waits for the rest of it."""

    mode = "wb"

    def __init__(self, fd, name):
        self.fd = fd
        self.name = name
        self.begun = False  # the descriptor has the beginning of a line

    def writable(self):
        return True

    def fileno(self):
        return self.fd

    def write(self, data):
        data = bytes(data)
        size = len(data)
        if self.begun and data:
            end = data.find(b"\n") + 1
            self.begun = end == 0
            write_all(self.fd, data[:end] if end else data)
            data = data[end:] if end else b""
        end = data.rfind(b"\n") + 1
        if end:
            log.records([line + b"\n" for line in data[: end - 1].split(b"\n")])
        if data[end:]:
            write_all(self.fd, data[end:])
            self.begun = True
        return size

    @classmethod
    def text(cls, fd, name, errors):
        return io.TextIOWrapper(io.BufferedWriter(cls(fd, name)), encoding="utf-8", errors=errors, line_buffering=True)


request_id = None  # of the invocation under way


class LoggerHandler(logging.Handler):
    def emit(self, record):
        try:
            log.write(self.format(record))
        except Exception:
            self.handleError(record)


class LoggerFilter(logging.Filter):
    def filter(self, record):
        record.aws_request_id = request_id or ""
        return True


class TextFormatter(logging.Formatter):
    converter = time.gmtime

    def __init__(self):
        super().__init__("[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s\n", "%Y-%m-%dT%H:%M:%S")


STANDARD = frozenset(vars(logging.LogRecord("", 0, "", 0, "", (), None))) | {"message", "asctime", "aws_request_id", "taskName"}


class JSONFormatter(logging.Formatter):
    converter = time.gmtime

    def format(self, record):
        line = {
            "timestamp": self.formatTime(record, "%Y-%m-%dT%H:%M:%SZ"),
            "level": record.levelname,
            "message": record.getMessage(),
            "logger": record.name,
        }
        if record.exc_info:
            kind, value, trace = record.exc_info
            line["stackTrace"] = traceback.format_list(traceback.extract_tb(trace))
            line["errorType"] = kind.__name__
            line["errorMessage"] = str(value)
            line["location"] = "%s:%s:%s" % (record.pathname, record.funcName, record.lineno)
        line["requestId"] = record.aws_request_id
        for key, value in record.__dict__.items():
            if key not in STANDARD and not key.startswith("_"):
                line[key] = value
        return json.dumps(line, default=str)


def start_logging(env):
    handler = LoggerHandler()
    handler.addFilter(LoggerFilter())
    as_json = env.get("AWS_LAMBDA_LOG_FORMAT") == "JSON"
    handler.setFormatter(JSONFormatter() if as_json else TextFormatter())
    root = logging.getLogger()
    root.addHandler(handler)
    level = {"TRACE": "NOTSET", "FATAL": "CRITICAL"}.get(env.get("AWS_LAMBDA_LOG_LEVEL"), env.get("AWS_LAMBDA_LOG_LEVEL"))
    if level:
        root.setLevel(level)


def log_error(error):
    """Log an error as AWS does: indentation in no-break spaces, all in one record."""
    first = "[ERROR]"
    if error.get("errorType"):
        first += " " + error["errorType"]
    if error.get("errorMessage"):
        first += (": " if error.get("errorType") else " ") + error["errorMessage"]
    lines = [first]
    if error.get("stackTrace") is not None:
        lines.append("Traceback (most recent call last):")
        for entry in error["stackTrace"]:
            for line in entry.splitlines() or [""]:
                text = line.lstrip(" ")
                lines.append("\u00a0" * (len(line) - len(text)) + text)
    log.write("\n".join(lines))


# ---- Errors ----


class Fault(Exception):
    """An error that the runtime finds, with AWS's type and wording."""

    def __init__(self, kind, message, trace=None):
        super().__init__(message)
        self.kind = "Runtime." + kind
        self.trace = trace or []


def error_of(exception):
    if isinstance(exception, Fault):
        return error(str(exception), exception.kind, exception.trace)
    frames = traceback.extract_tb(exception.__traceback__)
    for i, frame in enumerate(frames):
        if "/bootstrap.py" not in frame[0]:
            frames = frames[i:]
            break
    else:
        frames = []
    return error(str(exception), type(exception).__name__, traceback.format_list(frames))


def error(message, kind, trace):
    return {"errorMessage": message, "errorType": kind, "requestId": request_id or "", "stackTrace": trace}


def serialize(value):
    if type(value).__module__ == "decimal" or any(c.__module__ == "decimal" for c in type(value).__mro__):
        return float(value)
    raise TypeError("Object of type %s is not JSON serializable" % type(value).__name__)


# ---- Finding the handler ----


def load_handler(name):
    try:
        module_name, function = name.rsplit(".", 1)
    except ValueError as e:
        raise Fault("MalformedHandlerName", "Bad handler '%s': %s" % (name, e))
    if module_name.split(".")[0] in sys.builtin_module_names:
        raise Fault("BuiltInModuleConflict", "Cannot use built-in module %s as a handler module" % module_name)
    try:
        module = import_module(module_name.replace("/", "."))
    except ImportError as e:
        raise Fault("ImportModuleError", "Unable to import module '%s': %s" % (module_name, e))
    except SyntaxError as e:
        trace = ['  File "%s" Line %s\n    %s' % (e.filename, e.lineno, e.text)]
        raise Fault("UserCodeSyntaxError", "Syntax error in module '%s': %s" % (module_name, e), trace)
    try:
        return getattr(module, function)
    except AttributeError:
        raise Fault("HandlerNotFound", "Handler '%s' missing on module '%s'" % (function, module_name))


def hint(e):
    """Say what is different here from AWS when that may be why a module was not found."""
    for name in ("boto3", "botocore"):
        if isinstance(e, Fault) and str(e).endswith("No module named '%s'" % name):
            log.write("[WARNING] %s is part of AWS's runtimes, and not here yet: package it with the function, or let the operator add it for all "
                      "(lambent runtimes add python-sdk)." % name)


# ---- What a handler gets ----


class CognitoIdentity:
    __slots__ = ["cognito_identity_id", "cognito_identity_pool_id"]


class Client:
    __slots__ = ["installation_id", "app_title", "app_version_name", "app_version_code", "app_package_name"]


class ClientContext:
    __slots__ = ["custom", "env", "client"]


def fill(target, keys, values):
    for attribute, key in keys.items():
        setattr(target, attribute, (values or {}).get(key))
    return target


class LambdaContext:
    def __init__(self, head, env):
        self.aws_request_id = request_id
        self.log_group_name = env.get("AWS_LAMBDA_LOG_GROUP_NAME")
        self.log_stream_name = env.get("AWS_LAMBDA_LOG_STREAM_NAME")
        self.function_name = env.get("AWS_LAMBDA_FUNCTION_NAME")
        self.memory_limit_in_mb = env.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE")
        self.function_version = env.get("AWS_LAMBDA_FUNCTION_VERSION")
        self.invoked_function_arn = header_of(head, "Lambda-Runtime-Invoked-Function-Arn")
        self.tenant_id = header_of(head, "Lambda-Runtime-Aws-Tenant-Id")
        self.client_context = self._client_context(header_of(head, "Lambda-Runtime-Client-Context"))
        self.identity = CognitoIdentity()
        cognito = header_of(head, "Lambda-Runtime-Cognito-Identity")
        cognito = json.loads(cognito) if cognito else {}
        self.identity.cognito_identity_id = cognito.get("cognitoIdentityId")
        self.identity.cognito_identity_pool_id = cognito.get("cognitoIdentityPoolId")
        self._epoch_deadline_time_in_ms = int(header_of(head, "Lambda-Runtime-Deadline-Ms") or 0)

    @staticmethod
    def _client_context(text):
        if not text:
            return None
        given = json.loads(text)
        context = fill(ClientContext(), {"custom": "custom", "env": "env"}, given)
        context.client = None
        if given.get("client"):
            context.client = fill(Client(), {k: k for k in Client.__slots__}, given["client"])
        return context

    def get_remaining_time_in_millis(self):
        return max(self._epoch_deadline_time_in_ms - int(time.time() * 1000), 0)

    def log(self, msg):
        log.write(str(msg))

    def __repr__(self):
        shown = ["aws_request_id", "log_group_name", "log_stream_name", "function_name", "memory_limit_in_mb", "function_version",
                 "invoked_function_arn", "client_context", "identity", "tenant_id"]
        return "LambdaContext([%s])" % ",".join("%s=%s" % (k, getattr(self, k)) for k in shown)


# ---- Running it ----


def set_trace(trace):
    """Show the trace of the invocation in os.environ, but do not put it into the environment of the process: the C library
    keeps every value that a variable ever had, so that a function called often would run out of memory."""
    key = os.environ.encodekey("_X_AMZN_TRACE_ID")
    if trace:
        os.environ._data[key] = os.environ.encodevalue(trace)
    else:
        os.environ._data.pop(key, None)


class Runtime:
    def __init__(self, connection):
        self.connection = connection
        self.next = connection.frame("GET", API + "invocation/next")
        self.env = dict(os.environ)  # as it was at the start

    def start(self):
        env = self.env
        start_logging(env)
        try:
            handler = load_handler(env.get("_HANDLER", ""))
        except Exception as e:
            hint(e)
            self.fail_init(error_of(e))
        self.connection.send(self.next)
        while True:
            status, head, body = self.connection.receive()
            if status != 200:
                os._exit(1)
            answer = self.invoke(handler, head, body)
            # One write for the response and the question for more: two round trips cost one.
            self.connection.send(answer + self.next)
            self.connection.receive()

    def fail_init(self, failure):
        log_error(failure)
        sys.stdout.flush()
        self.connection.send(self.post_error("init/error", failure))
        self.connection.receive()
        os._exit(1)

    def invoke(self, handler, head, body):
        """Run the handler and return the request that answers."""
        global request_id
        request_id = header_of(head, "Lambda-Runtime-Aws-Request-Id")
        set_trace(header_of(head, "Lambda-Runtime-Trace-Id"))
        target = API + "invocation/%s/response" % request_id
        try:
            try:
                event = json.loads(body.decode("utf-8")) if body else {}
            except ValueError as e:
                raise Fault("UnmarshalError", "Unable to unmarshal input: %s" % e)
            result = handler(event, LambdaContext(head, self.env))
            try:
                data = json.dumps(result, default=serialize).encode()
            except (TypeError, ValueError, RecursionError) as e:
                raise Fault("MarshalError", "Unable to marshal response: %s" % e)
        except Exception as e:
            failure = error_of(e)
            log_error(failure)
            return self.post_error("invocation/%s/error" % request_id, failure)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
        return self.connection.frame("POST", target, data, "Content-Type: application/json\r\n")

    def post_error(self, target, failure):
        headers = "Content-Type: application/json\r\nLambda-Runtime-Function-Error-Type: %s\r\n" % failure["errorType"]
        return self.connection.frame("POST", API + target, json.dumps(failure).encode(), headers)


# ---- Start: as a function, or as a stem cell that becomes one ----


def enter(env):
    """Make the process look as if it had been started with env."""
    log.fd = int(env.pop("_LAMBDA_TELEMETRY_LOG_FD", -1))
    if log.fd >= 0:
        sys.stdout = Lines.text(1, "<stdout>", "surrogateescape")
        sys.stderr = Lines.text(2, "<stderr>", "backslashreplace")
    root = env["LAMBDA_TASK_ROOT"]
    os.chdir(root)
    version = "python%d.%d" % sys.version_info[:2]
    mine = [root, "/opt/python/lib/%s/site-packages" % version, "/opt/python"]
    mine += [p for p in env.get("PYTHONPATH", "").split(":") if p]
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = mine + [p for p in sys.path if p not in mine and p != here] + [os.path.join(here, "sdk")]
    sys.argv[:] = [os.path.join(here, "bootstrap.py")]


def main():
    for name in ("exit", "quit"):  # what the site module would have added
        setattr(builtins, name, Quitter(name, "Ctrl-D (i.e. EOF)"))
    sys.stdout.reconfigure(line_buffering=True) if hasattr(sys.stdout, "reconfigure") else None
    connection = Connection(os.environ["AWS_LAMBDA_RUNTIME_API"])
    if os.environ.get("LAMBENT_STEM"):
        # What most functions load at once; there is time for it now.
        for name in ("base64", "datetime", "decimal", "hashlib", "re", "socket", "ssl", "threading", "urllib.request", "uuid"):
            import_module(name)
        connection.send(connection.frame("GET", "/lambent/stem/next"))
        status, _, body = connection.receive()
        if status != 200:
            os._exit(1)
        assignment = json.loads(body.decode())
        os.environ.clear()
        os.environ.update(assignment["env"])
        time.tzset()
    enter(os.environ)
    Runtime(connection).start()


# Functions that say "import bootstrap" get this module, not a second one.
sys.modules["bootstrap"] = sys.modules[__name__]
main()
