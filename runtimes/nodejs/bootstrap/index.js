// The Node.js runtime of Lambent: talks the Lambda Runtime API over one bare socket and runs the handler.
// See package runtimes for the talk of a stem cell, and AWS's documentation for everything a handler can see.
'use strict';

const fs = require('fs');
const net = require('net');
const path = require('path');
const util = require('util');
const Module = require('module');
const { Writable } = require('stream');
const { pathToFileURL } = require('url');

const API = '/2018-06-01/runtime/';
const NEXT = 'invocation/next';

// ---- The talk: HTTP/1.1 over one kept connection. A reply always has a Content-Length. Requests may be pipelined. ----

class Connection {
  constructor(address) {
    const colon = address.lastIndexOf(':');
    this.host = address;
    this.waiting = []; // one callback for each request under way, oldest first
    this.chunks = []; // of a reply that has not arrived whole
    this.size = 0;
    this.need = 0; // bytes until there can be something to do
    // Into one buffer of our own: half the cost of a stream's events.
    const onread = { buffer: Buffer.allocUnsafe(64 << 10), callback: (n, buffer) => this.receive(buffer.subarray(0, n)) };
    this.socket = net.connect({ host: address.slice(0, colon), port: +address.slice(colon + 1), noDelay: true, onread });
    // Without its cloud a runtime has nothing to do. The server tears sandboxes down by killing them.
    this.socket.on('error', () => process.exit(1));
    this.socket.on('close', () => process.exit(1));
  }

  // frame returns the bytes of a request.
  frame(method, target, headers, body) {
    let head = method + ' ' + target + ' HTTP/1.1\r\nHost: ' + this.host + '\r\n' + headers;
    if (method === 'POST') head += 'Content-Length: ' + Buffer.byteLength(body) + '\r\n';
    return head + '\r\n' + body;
  }

  send(bytes, ...callbacks) {
    for (const callback of callbacks) this.waiting.push(callback);
    this.socket.write(bytes);
  }

  // receive takes what has arrived; the buffer is the socket's again afterwards.
  receive(chunk) {
    if (this.size > 0) {
      this.chunks.push(Buffer.from(chunk));
      this.size += chunk.length;
      if (this.size < this.need) return true;
      chunk = Buffer.concat(this.chunks, this.size);
      this.chunks = [];
      this.size = 0;
    }
    let at = 0;
    this.need = 0;
    while (at < chunk.length) {
      const end = chunk.indexOf('\r\n\r\n', at, 'latin1');
      if (end < 0) break;
      const head = chunk.latin1Slice(at, end);
      const total = end + 4 + +(headerOf(head, 'Content-Length') ?? 0);
      if (chunk.length < total) {
        this.need = total - at;
        break;
      }
      at = total;
      this.waiting.shift()(+head.slice(9, 12), head, chunk.utf8Slice(end + 4, total));
    }
    if (at < chunk.length) {
      this.chunks = [Buffer.from(chunk.subarray(at))];
      this.size = chunk.length - at;
    }
    return true;
  }
}

// headerOf returns the value of a header in a reply's head; undefined when there is none. Lambent writes names in one way.
function headerOf(head, name) {
  const at = head.indexOf('\r\n' + name + ': ');
  if (at < 0) return undefined;
  const begin = at + name.length + 4;
  const end = head.indexOf('\r\n', begin);
  return end < 0 ? head.slice(begin) : head.slice(begin, end);
}

// ---- Logging ----

const levels = { TRACE: 1, DEBUG: 2, INFO: 3, WARN: 4, ERROR: 5, FATAL: 6 };
let requestId; // of the invocation under way
let logFD = -1;

// record writes one log record: a frame on the log descriptor, or a line whose inner newlines are carriage returns.
function record(text) {
  if (logFD < 0) {
    process.stdout.write(text.replace(/\n/g, '\r') + '\n');
    return;
  }
  const size = Buffer.byteLength(text);
  const frame = Buffer.allocUnsafe(16 + size);
  frame.writeUInt32BE(0xa55a0003, 0);
  frame.writeUInt32BE(size, 4);
  frame.writeBigUInt64BE(BigInt(Date.now()) * 1000n, 8);
  frame.utf8Write(text, 16);
  writeAll(frame);
}

function writeAll(bytes) {
  for (let at = 0; at < bytes.length; ) {
    try {
      at += fs.writeSync(logFD, bytes, at);
    } catch (e) {
      if (e.code !== 'EAGAIN') return;
    }
  }
}

function logText(level, args) {
  record(new Date().toISOString() + '\t' + requestId + '\t' + level + '\t' + util.format(...args));
}

function logJSON(level, args) {
  const line = { timestamp: new Date().toISOString(), level };
  if (requestId !== undefined) line.requestId = requestId;
  if (args.length === 1 && typeof args[0] === 'object') line.message = args[0];
  else line.message = util.format(...args);
  for (const a of args) {
    if (a instanceof Error) {
      line.errorType = a.name;
      line.errorMessage = a.message;
      line.stackTrace = String(a.stack).split('\n').slice(1);
      if (line.message === a) delete line.message;
    }
  }
  const replace = (_, v) =>
    v instanceof Error ? { errorType: v.name, errorMessage: v.message, stackTrace: String(v.stack).split('\n').slice(1) }
      : typeof v === 'bigint' ? v.toString() : v;
  try {
    record(JSON.stringify(line, replace));
  } catch {
    line.message = util.format(...args);
    record(JSON.stringify(line, replace));
  }
}

function patchConsole(env) {
  const write = env.AWS_LAMBDA_LOG_FORMAT === 'JSON' ? logJSON : logText;
  const least = levels[env.AWS_LAMBDA_LOG_LEVEL] ?? 0;
  const at = (level) => (levels[level] < least ? () => {} : (...args) => write(level, args));
  console.log = console.info = at('INFO');
  console.debug = at('DEBUG');
  console.warn = at('WARN');
  console.error = at('ERROR');
  console.fatal = at('FATAL');
  const trace = at('TRACE');
  console.trace = (...args) => {
    const holder = {};
    Error.captureStackTrace(holder, console.trace);
    trace(util.format(...args) + holder.stack.slice(holder.stack.indexOf('\n')));
  };
}

// ---- Errors, as AWS words them ----

class RuntimeError extends Error {
  constructor(name, message) {
    super(message);
    this.name = 'Runtime.' + name;
  }
}

const isError = (e) => util.types.isNativeError(e) || (e && e.name && e.message && e.stack);

// forCaller is the shape that the Runtime API and the caller get.
function forCaller(e) {
  try {
    if (isError(e)) return { errorType: String(e.name), errorMessage: String(e.message), trace: String(e.stack).split('\n') };
    return { errorType: typeof e, errorMessage: e.toString(), trace: [] };
  } catch {
    return {
      errorType: 'handled',
      errorMessage: 'callback called with Error argument, but there was a problem while retrieving one or more of its message, name, and stack',
    };
  }
}

// forLog is the shape in the function's log.
function forLog(e) {
  try {
    if (!isError(e)) return '\t' + JSON.stringify(forCaller(e));
    const shape = { errorType: e.name, errorMessage: e.message, ...e };
    delete shape.name;
    delete shape.message;
    delete shape.stack;
    shape.stack = String(e.stack).split('\n');
    return '\t' + JSON.stringify(shape, (_, v) => (isError(v) ? { errorType: v.name, errorMessage: v.message, stack: String(v.stack).split('\n') } : v));
  } catch {
    return '\t' + JSON.stringify(forCaller(e));
  }
}

const reject = (e) => {
  const wrapped = new RuntimeError('UnhandledPromiseRejection', String(e?.toString?.() ?? e));
  wrapped.reason = e;
  wrapped.promise = {};
  return wrapped;
};

// ---- Finding the handler ----

// /node_modules is there for import alone: require has the SDK in NODE_PATH, behind the layers.
const nodeModulePaths = Module._nodeModulePaths;
Module._nodeModulePaths = (from) => nodeModulePaths(from).filter((dir) => dir !== '/node_modules');

function malformed(message) {
  throw new RuntimeError('MalformedHandlerName', message);
}

// isModule reports whether a .js file is an ES module: the nearest package.json says so.
function isModule(file) {
  for (let dir = path.dirname(file); ; dir = path.dirname(dir)) {
    if (path.basename(dir) === 'node_modules') return false;
    try {
      return JSON.parse(fs.readFileSync(path.join(dir, 'package.json'), 'utf8')).type === 'module';
    } catch (e) {
      if (e.code !== 'ENOENT' && e.code !== 'ENOTDIR') return false;
    }
    if (dir === path.dirname(dir)) return false;
  }
}

const isFile = (file) => fs.statSync(file, { throwIfNoEntry: false })?.isFile() ?? false;

const importFile = (file) => import(pathToFileURL(file).href);

// loadModule finds a module as AWS does: the name itself, with .js, .mjs, .cjs, then as Node would from the task root.
async function loadModule(taskRoot, moduleRoot, name) {
  const file = path.resolve(taskRoot, moduleRoot, name);
  const require = Module.createRequire(__filename);
  if (isFile(file)) return require(file);
  if (isFile(file + '.js')) return isModule(file + '.js') ? importFile(file + '.js') : require(file + '.js');
  if (isFile(file + '.mjs')) return importFile(file + '.mjs');
  if (isFile(file + '.cjs')) return require(file + '.cjs');
  return require(require.resolve(name, { paths: [taskRoot, path.join(taskRoot, moduleRoot)] }));
}

async function loadHandler(taskRoot, full) {
  if (full.includes('..')) {
    malformed(`'${full}' is not a valid handler name. Use absolute paths when specifying root directories in handler names.`);
  }
  const base = path.basename(full);
  const moduleRoot = full.slice(0, full.length - base.length);
  const match = /^([^.]*)\.(.*)$/.exec(base);
  if (!match) malformed('Bad handler');
  const [, name, member] = match;

  let loaded;
  try {
    loaded = await loadModule(taskRoot, moduleRoot, name);
  } catch (e) {
    if (e instanceof SyntaxError) throw withStack(new RuntimeError('UserCodeSyntaxError', e.toString()), e);
    if (e?.code === 'MODULE_NOT_FOUND' || e?.code === 'ERR_MODULE_NOT_FOUND') throw new RuntimeError('ImportModuleError', e.toString());
    throw e;
  }
  let handler = find(loaded, member);
  if (handler === undefined && loaded.default) handler = find(loaded.default, member);
  if (handler === undefined) throw new RuntimeError('HandlerNotFound', `${full} is undefined or not exported`);
  if (typeof handler !== 'function') throw new RuntimeError('HandlerNotFound', `${full} is not a function`);
  return handler;
}

// hint says what is different here from AWS when that may be why a module was not found.
function hint(e) {
  const name = e?.name === 'Runtime.ImportModuleError' && /Cannot find (?:module|package) '(aws-sdk|@aws-sdk\/[^'/]+|@smithy\/[^'/]+)/.exec(e.message);
  if (name) {
    const part = name[1] === 'aws-sdk' ? 'nodejs-sdk-v2' : 'nodejs-sdk';
    const old = part === 'nodejs-sdk-v2' ? ' up to nodejs16.x' : '';
    console.warn(`${name[1]} is part of AWS's runtimes${old}, and not here yet: package it with the function (npm install ${name[1]}), `
      + `or let the operator add it for all (lambent runtimes add ${part}).`);
  }
}

// withStack keeps the place of a syntax error, which stands before the stack.
function withStack(e, cause) {
  e.stack = e.name + ': ' + String(cause.stack);
  return e;
}

function find(object, member) {
  let parent;
  let value = object;
  for (const key of member.split('.')) {
    parent = value;
    value = value?.[key];
  }
  if (typeof value !== 'function' || parent === object) return value;
  const bound = value.bind(parent);
  if (STREAMING in value) bound[STREAMING] = value[STREAMING];
  return bound;
}

// ---- Response streaming ----

const STREAMING = Symbol('streaming'); // on a handler: its stream's highWaterMark, or true
const STREAM_TYPE = 'application/vnd.awslambda.http-integration-response';

// ResponseStream is what a streaming handler writes to: the body of the POST that answers, in chunks. Nothing is sent before the
// first write, so that a handler which fails before it is answered for like any other.
class ResponseStream extends Writable {
  constructor(runtime, id, options) {
    super(options);
    this.runtime = runtime;
    this.id = id;
    this.begun = false;
    this.type = 'application/octet-stream';
    this.prelude = undefined; // goes before the first write
  }

  setContentType(type) {
    if (this.begun) throw new RuntimeError('InvalidStreamingOperation', 'Cannot set content-type, too late.');
    this.type = String(type);
  }

  begin() {
    if (this.begun) return;
    this.begun = true;
    if (/[\r\n]/.test(this.type)) this.type = 'application/octet-stream';
    const c = this.runtime.connection;
    c.send(`POST ${API}invocation/${this.id}/response HTTP/1.1\r\nHost: ${c.host}\r\nContent-Type: ${this.type}\r\n`
      + 'Lambda-Runtime-Function-Response-Mode: streaming\r\nTransfer-Encoding: chunked\r\n'
      + 'Trailer: Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body\r\n\r\n', this.runtime.ignore);
    if (this.prelude !== undefined) this.chunk(Buffer.concat([Buffer.from(this.prelude), Buffer.alloc(8)]));
  }

  chunk(bytes, callback) {
    const { socket } = this.runtime.connection;
    if (bytes.length === 0) return callback?.();
    socket.write(bytes.length.toString(16) + '\r\n');
    socket.write(bytes);
    socket.write('\r\n', callback);
  }

  _write(data, encoding, callback) {
    const { socket } = this.runtime.connection;
    socket.ref(); // what is on its way keeps the event loop alive
    socket.cork();
    this.begin();
    this.chunk(data, (error) => {
      socket.unref();
      callback(error);
    });
    socket.uncork();
  }
}

globalThis.awslambda = {
  streamifyResponse(handler, options) {
    handler[STREAMING] = Number(options?.highWaterMark) || true;
    return handler;
  },
  HttpResponseStream: class HttpResponseStream {
    // from makes a stream begin with a status code, headers and cookies.
    static from(stream, prelude) {
      stream.setContentType(STREAM_TYPE);
      stream.prelude = JSON.stringify(prelude);
      return stream;
    }
  },
};

// ---- Running it ----

// headerSafe leaves out what may not stand in a header.
const headerSafe = (text) => text.replace(/[^\x21-\x7e]/g, '');

class Runtime {
  constructor(connection) {
    this.connection = connection;
    this.handler = undefined;
    this.onIdle = undefined; // what to do when the event loop is empty
    this.nextRequest = connection.frame('GET', API + NEXT, '', '');
    this.started = (status, head, body) => this.invoke(status, head, body);
    this.ignore = () => {};
    process.on('beforeExit', () => {
      const f = this.onIdle;
      this.onIdle = undefined;
      if (f) f();
    });
    process.on('uncaughtException', (e) => this.die(e, 'Uncaught Exception', 129));
    process.on('unhandledRejection', (e) => this.die(reject(e), 'Unhandled Promise Rejection', 128));
  }

  next() {
    this.connection.socket.ref();
    this.connection.send(this.nextRequest, this.started);
  }

  invoke(status, head, body) {
    if (status !== 200) process.exit(1);
    const id = headerOf(head, 'Lambda-Runtime-Aws-Request-Id');
    requestId = id;
    setTrace(headerOf(head, 'Lambda-Runtime-Trace-Id'));

    // The event loop is empty when nothing of the function's own is under way: our connection does not count.
    this.connection.socket.unref();
    let done = false;
    let wait = true; // context.callbackWaitsForEmptyEventLoop
    const finish = (error, result) => {
      if (done) return;
      done = true;
      this.onIdle = undefined;
      if (error === undefined) this.respond(id, result);
      else this.fail(id, error);
    };
    const settle = (error, result) => {
      if (done) return;
      if (!wait) return void setImmediate(finish, error, result);
      this.onIdle = () => finish(error, result);
    };
    this.onIdle = () => finish(undefined, null);

    const deadline = +headerOf(head, 'Lambda-Runtime-Deadline-Ms');
    const env = process.env;
    const callback = (error, result) => settle(error === null || error === undefined ? undefined : error, result);
    const context = {
      get callbackWaitsForEmptyEventLoop() { return wait; },
      set callbackWaitsForEmptyEventLoop(v) { wait = Boolean(v); },
      done: (error, result) => { wait = false; callback(error, result); },
      succeed: (result) => { wait = false; callback(null, result); },
      fail: (error) => { wait = false; callback(error === undefined || error === null ? 'handled' : error); },
      functionVersion: env.AWS_LAMBDA_FUNCTION_VERSION,
      functionName: env.AWS_LAMBDA_FUNCTION_NAME,
      memoryLimitInMB: env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
      logGroupName: env.AWS_LAMBDA_LOG_GROUP_NAME,
      logStreamName: env.AWS_LAMBDA_LOG_STREAM_NAME,
      clientContext: parseHeader(head, 'Lambda-Runtime-Client-Context'),
      identity: parseHeader(head, 'Lambda-Runtime-Cognito-Identity'),
      invokedFunctionArn: headerOf(head, 'Lambda-Runtime-Invoked-Function-Arn'),
      awsRequestId: id,
      tenantId: headerOf(head, 'Lambda-Runtime-Aws-Tenant-Id'),
      getRemainingTimeInMillis: () => deadline - Date.now(),
    };
    try {
      const event = body === '' ? {} : JSON.parse(body);
      if (this.handler[STREAMING]) return this.stream(id, event, context);
      const result = this.handler(event, context, callback);
      if (typeof result?.then === 'function') {
        result.then((value) => finish(undefined, value), (error) => finish(error === undefined ? null : error));
      }
    } catch (e) {
      finish(e === undefined ? null : e);
    }
  }

  // stream calls a streaming handler. The answer ends when the handler has ended its stream and returned; a stream that is left
  // open is ended when nothing is under way any more that could write to it.
  stream(id, event, context) {
    const mark = this.handler[STREAMING];
    const out = new ResponseStream(this, id, mark === true ? {} : { highWaterMark: mark });
    let done = false;
    let returned = false;
    const finish = (error) => {
      if (done) return;
      done = true;
      this.onIdle = undefined;
      if (error !== undefined && !out.begun) this.fail(id, error);
      else this.endStream(out, error);
      if (error !== undefined) out.destroy();
    };
    out.on('error', finish);
    out.on('finish', () => { if (returned) finish(); });
    this.onIdle = () => finish();
    let result;
    try {
      result = this.handler(event, out, context);
    } catch (e) {
      return finish(e ?? null);
    }
    if (typeof result?.then !== 'function') return finish(new Error('Streaming does not support non-async handlers.'));
    result.then(() => {
      returned = true;
      if (out.writableFinished) finish();
    }, (e) => finish(e ?? null));
  }

  // endStream sends the end of a streamed answer; an error that came after its beginning goes into the trailers.
  endStream(out, error) {
    out.begin();
    let trailers = '';
    if (error !== undefined) {
      console.error('Invoke Error', forLog(error));
      const shape = forCaller(error);
      trailers = `Lambda-Runtime-Function-Error-Type: ${headerSafe(shape.errorType)}\r\n`
        + `Lambda-Runtime-Function-Error-Body: ${Buffer.from(JSON.stringify(shape)).toString('base64')}\r\n`;
    }
    const c = this.connection;
    c.socket.ref();
    c.send('0\r\n' + trailers + '\r\n' + this.nextRequest, this.started);
  }

  respond(id, result) {
    let body;
    try {
      body = JSON.stringify(result);
      if (body === undefined) body = 'null';
    } catch {
      return this.fail(id, new Error('Unable to stringify response body'));
    }
    const c = this.connection;
    // One write for the response and the question for more: two round trips cost one.
    c.socket.ref();
    c.send(c.frame('POST', `${API}invocation/${id}/response`, 'Content-Type: application/json\r\n', body) + this.nextRequest, this.ignore, this.started);
  }

  fail(id, error) {
    console.error('Invoke Error', forLog(error));
    const c = this.connection;
    c.socket.ref();
    c.send(this.errorRequest(`invocation/${id}/error`, error) + this.nextRequest, this.ignore, this.started);
  }

  errorRequest(target, error) {
    const shape = forCaller(error);
    return this.connection.frame('POST', API + target, `Content-Type: application/json\r\nLambda-Runtime-Function-Error-Type: ${headerSafe(shape.errorType)}\r\n`, JSON.stringify(shape));
  }

  // die reports an error that nobody caught, and ends: the state of the process is unknown.
  die(error, what, status) {
    console.error(what, forLog(error));
    const target = this.handler && requestId ? `invocation/${requestId}/error` : 'init/error';
    // With a GET under way the answer would stand behind that of the GET: take another connection.
    const c = this.connection.waiting.length ? new Connection(this.connection.host) : this.connection;
    c.socket.ref();
    c.send(this.errorRequest(target, error), () => process.exit(status));
  }

  async start() {
    patchConsole(process.env);
    offerTrace();
    try {
      this.handler = await loadHandler(process.env.LAMBDA_TASK_ROOT, process.env._HANDLER);
    } catch (e) {
      hint(e);
      return this.die(e, 'Uncaught Exception', 1);
    }
    this.next();
  }
}

// The trace of the invocation under way is seen as process.env._X_AMZN_TRACE_ID, but is not in the environment of the
// process: the C library keeps every value that a variable ever had, so that a function called often would run out of
// memory. It stands behind the variables instead, where child_process looks as well.
const TRACE = '_X_AMZN_TRACE_ID';
let traceId;
const hasOwn = Object.prototype.hasOwnProperty;

function offerTrace() {
  const behind = Object.create(Object.getPrototypeOf(process.env), {
    [TRACE]: { enumerable: true, configurable: true, get: () => traceId },
  });
  Object.setPrototypeOf(process.env, behind);
}

function setTrace(id) {
  traceId = id;
  if (hasOwn.call(process.env, TRACE)) delete process.env[TRACE]; // somebody has set it
}

function parseHeader(head, name) {
  const value = headerOf(head, name);
  if (!value) return undefined;
  try {
    return JSON.parse(value);
  } catch {
    return undefined;
  }
}

// ---- Start: as a function, or as a stem cell that becomes one ----

// become takes over the assignment of a stem cell.
function become(assignment) {
  const { env } = JSON.parse(assignment);
  for (const key of Object.keys(process.env)) if (!(key in env)) delete process.env[key];
  Object.assign(process.env, env);
  takeLogFD();
  Module._initPaths(); // NODE_PATH has changed
  process.chdir(env.LAMBDA_TASK_ROOT);
}

function takeLogFD() {
  if (process.env._LAMBDA_TELEMETRY_LOG_FD) logFD = +process.env._LAMBDA_TELEMETRY_LOG_FD;
  delete process.env._LAMBDA_TELEMETRY_LOG_FD;
}

const connection = new Connection(process.env.AWS_LAMBDA_RUNTIME_API);
if (process.env.LAMBENT_STEM) {
  // What most functions load at once; there is time for it now.
  for (const name of ['https', 'crypto', 'stream', 'zlib', 'events', 'os']) require(name);
  connection.send(connection.frame('GET', '/lambent/stem/next', '', ''), (status, _, body) => {
    if (status !== 200) process.exit(1);
    become(body);
    new Runtime(connection).start();
  });
} else {
  takeLogFD();
  process.chdir(process.env.LAMBDA_TASK_ROOT);
  new Runtime(connection).start();
}
