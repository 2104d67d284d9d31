// The .NET runtime of Lambent for Mono: talks the Lambda Runtime API over one bare socket and runs the handler.
//
// It knows what AWS's libraries define (ILambdaContext, the serializer attribute) by name alone, so that a function brings its
// own version of them, or none. Compile it with: mcs -r:System.Runtime.Serialization.dll -out:lambent-runtime.exe Client.cs
using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Net.Sockets;
using System.Reflection;
using System.Runtime.InteropServices;
using System.Runtime.Remoting.Messaging;
using System.Runtime.Remoting.Proxies;
using System.Runtime.Serialization.Json;
using System.Text;
using System.Threading.Tasks;

namespace Lambent
{
    /// <summary>An answer of the Runtime API.</summary>
    sealed class Reply
    {
        public int Status;
        public readonly Dictionary<string, string> Headers = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);
        public byte[] Body = new byte[0];

        public string Header(string name)
        {
            string value;
            return Headers.TryGetValue(name, out value) ? value : null;
        }
    }

    /// <summary>HTTP/1.1 over one kept connection. A reply always has a Content-Length. Requests may be pipelined.</summary>
    sealed class Connection
    {
        const string Root = "/2018-06-01/runtime/";
        readonly string address;
        readonly Stream stream;

        public Connection(string address)
        {
            this.address = address;
            int colon = address.LastIndexOf(':');
            var client = new TcpClient(address.Substring(0, colon), int.Parse(address.Substring(colon + 1)));
            client.NoDelay = true;
            stream = new BufferedStream(client.GetStream(), 1 << 16);
        }

        public byte[] Get(string target)
        {
            return Encoding.ASCII.GetBytes("GET " + Root + target + " HTTP/1.1\r\nHost: " + address + "\r\n\r\n");
        }

        public byte[] Post(string target, byte[] body, string headers)
        {
            byte[] head = Encoding.ASCII.GetBytes("POST " + Root + target + " HTTP/1.1\r\nHost: " + address +
                "\r\nContent-Type: application/json\r\n" + headers + "Content-Length: " + body.Length + "\r\n\r\n");
            return head.Concat(body).ToArray();
        }

        public void Send(params byte[][] parts)
        {
            foreach (byte[] part in parts) stream.Write(part, 0, part.Length);
            stream.Flush();
        }

        public Reply Receive()
        {
            var reply = new Reply { Status = int.Parse(Line().Substring(9, 3)) };
            for (string line = Line(); line != ""; line = Line())
            {
                int colon = line.IndexOf(": ", StringComparison.Ordinal);
                reply.Headers[line.Substring(0, colon)] = line.Substring(colon + 2);
            }
            string length = reply.Header("Content-Length");
            reply.Body = new byte[length == null ? 0 : int.Parse(length)];
            for (int at = 0; at < reply.Body.Length;)
            {
                int n = stream.Read(reply.Body, at, reply.Body.Length - at);
                if (n <= 0) Program.End(1);
                at += n;
            }
            return reply;
        }

        string Line()
        {
            var line = new List<byte>();
            for (int b = stream.ReadByte(); b != '\n'; b = stream.ReadByte())
            {
                if (b < 0) Program.End(1); // without its cloud a runtime has nothing to do
                if (b != '\r') line.Add((byte)b);
            }
            return Encoding.UTF8.GetString(line.ToArray());
        }
    }

    /// <summary>Where log records go: frames on the log descriptor.</summary>
    static class Log
    {
        [DllImport("libc", SetLastError = true)]
        static extern IntPtr write(int fd, byte[] bytes, IntPtr count);

        static readonly object guard = new object();
        public static int Descriptor = 1;
        public static string RequestId = "";

        /// <summary>Writes one record as AWS's client does: time, request, level, text.</summary>
        public static void Write(string level, string text)
        {
            Record(DateTime.UtcNow.ToString("yyyy-MM-ddTHH:mm:ss.fffZ", CultureInfo.InvariantCulture) + "\t" + RequestId + "\t" + level + "\t" + text);
        }

        static void Record(string text)
        {
            byte[] body = Encoding.UTF8.GetBytes(text);
            long micros = (DateTime.UtcNow - new DateTime(1970, 1, 1, 0, 0, 0, DateTimeKind.Utc)).Ticks / 10;
            var frame = new MemoryStream();
            Big(frame, 0xa55a0003, 4);
            Big(frame, (ulong)body.Length, 4);
            Big(frame, (ulong)micros, 8);
            frame.Write(body, 0, body.Length);
            byte[] bytes = frame.ToArray();
            lock (guard)
            {
                while (bytes.Length > 0)
                {
                    int n = (int)write(Descriptor, bytes, (IntPtr)bytes.Length);
                    if (n < 0) return;
                    bytes = bytes.Skip(n).ToArray();
                }
            }
        }

        static void Big(Stream to, ulong number, int bytes)
        {
            for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) to.WriteByte((byte)(number >> shift));
        }
    }

    /// <summary>What stands under Console: each line that is written is a log record.</summary>
    sealed class Lines : TextWriter
    {
        readonly string level;
        readonly StringBuilder line = new StringBuilder();

        public Lines(string level) { this.level = level; }

        public override Encoding Encoding { get { return Encoding.UTF8; } }

        public override void Write(char c)
        {
            lock (line)
            {
                if (c != '\n') line.Append(c);
                else Emit();
            }
        }

        public override void WriteLine(string text) // one record, even when there are new lines in it
        {
            lock (line)
            {
                line.Append(text);
                Emit();
            }
        }

        /// <summary>Writes what has been begun.</summary>
        public void End()
        {
            lock (line) if (line.Length > 0) Emit();
        }

        void Emit()
        {
            Log.Write(level, line.ToString());
            line.Clear();
        }
    }

    /// <summary>Implements ILambdaContext or ILambdaLogger of whatever Amazon.Lambda.Core the function has.</summary>
    sealed class Answering : RealProxy
    {
        readonly Func<MethodInfo, object[], object> answer;

        public Answering(Type contract, Func<MethodInfo, object[], object> answer) : base(contract) { this.answer = answer; }

        public override IMessage Invoke(IMessage message)
        {
            var call = (IMethodCallMessage)message;
            try
            {
                return new ReturnMessage(answer((MethodInfo)call.MethodBase, call.Args), null, 0, call.LogicalCallContext, call);
            }
            catch (Exception e)
            {
                return new ReturnMessage(e, call);
            }
        }

        public static object Context(Type contract, Reply invocation)
        {
            long deadline = long.Parse(invocation.Header("Lambda-Runtime-Deadline-Ms") ?? "0");
            DateTime end = new DateTime(1970, 1, 1, 0, 0, 0, DateTimeKind.Utc).AddMilliseconds(deadline);
            Func<MethodInfo, object[], object> answer = (method, args) =>
            {
                switch (method.Name)
                {
                    case "get_AwsRequestId": return invocation.Header("Lambda-Runtime-Aws-Request-Id");
                    case "get_InvokedFunctionArn": return invocation.Header("Lambda-Runtime-Invoked-Function-Arn");
                    case "get_TenantId": return invocation.Header("Lambda-Runtime-Aws-Tenant-Id");
                    case "get_TraceId": return invocation.Header("Lambda-Runtime-Trace-Id");
                    case "get_FunctionName": return Environment.GetEnvironmentVariable("AWS_LAMBDA_FUNCTION_NAME");
                    case "get_FunctionVersion": return Environment.GetEnvironmentVariable("AWS_LAMBDA_FUNCTION_VERSION");
                    case "get_LogGroupName": return Environment.GetEnvironmentVariable("AWS_LAMBDA_LOG_GROUP_NAME");
                    case "get_LogStreamName": return Environment.GetEnvironmentVariable("AWS_LAMBDA_LOG_STREAM_NAME");
                    case "get_MemoryLimitInMB": return int.Parse(Environment.GetEnvironmentVariable("AWS_LAMBDA_FUNCTION_MEMORY_SIZE") ?? "0");
                    case "get_RemainingTime": return end > DateTime.UtcNow ? end - DateTime.UtcNow : TimeSpan.Zero;
                    case "get_Logger": return new Answering(method.ReturnType, Logger).GetTransparentProxy();
                    case "get_Identity":
                    case "get_ClientContext": return null;
                }
                return Plain(method, args);
            };
            return new Answering(contract, answer).GetTransparentProxy();
        }

        static object Logger(MethodInfo method, object[] args)
        {
            if (!method.Name.StartsWith("Log", StringComparison.Ordinal)) return Plain(method, args);
            string level = "info";
            switch (method.Name)
            {
                case "LogTrace": level = "trce"; break;
                case "LogDebug": level = "dbug"; break;
                case "LogWarning": level = "warn"; break;
                case "LogError": level = "fail"; break;
                case "LogCritical": level = "crit"; break;
            }
            Log.Write(level, string.Join(" ", args.Where(a => !(a is Array)).Select(a => Convert.ToString(a, CultureInfo.InvariantCulture))));
            return null;
        }

        static object Plain(MethodInfo method, object[] args)
        {
            switch (method.Name)
            {
                case "ToString": return "Lambent";
                case "GetHashCode": return 0;
                case "Equals": return false;
                case "GetType": return typeof(Answering);
            }
            throw new NotImplementedException(method.Name + " is not implemented here");
        }
    }

    /// <summary>Values to and from JSON: by the serializer that the function names, else by the framework's own.</summary>
    sealed class Serializer
    {
        readonly object named; // an ILambdaSerializer, or null
        static readonly DataContractJsonSerializerSettings plain = new DataContractJsonSerializerSettings { UseSimpleDictionaryFormat = true };

        public Serializer(MethodInfo handler)
        {
            foreach (object a in handler.GetCustomAttributes(true).Concat(handler.DeclaringType.Assembly.GetCustomAttributes(true)))
            {
                if (a.GetType().Name != "LambdaSerializerAttribute") continue;
                var type = (Type)a.GetType().GetProperty("SerializerType").GetValue(a, null);
                named = Activator.CreateInstance(type);
                return;
            }
        }

        public object Read(Type type, byte[] json)
        {
            if (typeof(Stream).IsAssignableFrom(type)) return new MemoryStream(json);
            if (named != null) return Generic("Deserialize", type).Invoke(named, new object[] { new MemoryStream(json) });
            return new DataContractJsonSerializer(type, plain).ReadObject(new MemoryStream(json));
        }

        public byte[] Write(Type type, object value)
        {
            var to = new MemoryStream();
            var stream = value as Stream;
            if (stream != null) stream.CopyTo(to);
            else if (type == typeof(void)) { }
            else if (value == null) return Encoding.ASCII.GetBytes("null");
            else if (named != null) Generic("Serialize", type).Invoke(named, new object[] { value, to });
            else new DataContractJsonSerializer(type, plain).WriteObject(to, value);
            return to.ToArray();
        }

        MethodInfo Generic(string name, Type type)
        {
            return named.GetType().GetMethods().First(m => m.Name == name && m.IsGenericMethodDefinition).MakeGenericMethod(type);
        }
    }

    /// <summary>The function's own method: Assembly::Namespace.Class::Method.</summary>
    sealed class Handler
    {
        readonly MethodInfo method;
        readonly object target;
        readonly Serializer serializer;

        public Handler(string name, string root)
        {
            string[] parts = name.Split(new[] { "::" }, StringSplitOptions.None);
            if (parts.Length != 3) throw new Invalid("InvalidHandler", "Invalid lambda function handler: '" + name + "'. The valid format is 'ASSEMBLY::TYPE::METHOD'.");
            Assembly assembly = Load(root, parts[0]);
            if (assembly == null) throw new Invalid("LambdaException", "Could not find the specified handler assembly with the file name '" + parts[0] + "'.");
            Type type = assembly.GetType(parts[1]);
            if (type == null) throw new Invalid("LambdaException", "Unable to load type '" + parts[1] + "' from assembly '" + parts[0] + "'.");
            MethodInfo[] found = type.GetMethods(BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Instance | BindingFlags.Static | BindingFlags.FlattenHierarchy)
                .Where(m => m.Name == parts[2]).ToArray();
            if (found.Length == 0) throw new Invalid("LambdaException", "Unable to find method '" + parts[2] + "' in type '" + parts[1] + "' from assembly '" + parts[0] + "'.");
            if (found.Length > 1) throw new Invalid("LambdaException", "The method '" + parts[2] + "' in type '" + parts[1] + "' appears more than once: a handler must have a name of its own.");
            method = found[0];
            serializer = new Serializer(method);
            if (!method.IsStatic) target = Activator.CreateInstance(type);
        }

        /// <summary>Finds a library of the function. Null when there is none.</summary>
        public static Assembly Load(string root, string name)
        {
            foreach (string path in new[] { name + ".dll", name + ".exe" }.Select(file => Path.Combine(root, file)))
                if (File.Exists(path)) return Assembly.LoadFrom(path);
            return null;
        }

        public byte[] Call(Reply invocation)
        {
            var args = new List<object>();
            foreach (ParameterInfo p in method.GetParameters())
                args.Add(p.ParameterType.Name == "ILambdaContext" ? Answering.Context(p.ParameterType, invocation) : serializer.Read(p.ParameterType, invocation.Body));
            object result = method.Invoke(target, args.ToArray());
            var task = result as Task;
            if (task == null) return serializer.Write(method.ReturnType, result);
            task.GetAwaiter().GetResult();
            Type type = method.ReturnType.IsGenericType ? method.ReturnType.GetGenericArguments()[0] : typeof(void);
            return serializer.Write(type, type == typeof(void) ? null : result.GetType().GetProperty("Result").GetValue(result, null));
        }
    }

    /// <summary>An error that the runtime finds in how the function is set up.</summary>
    sealed class Invalid : Exception
    {
        public readonly string Kind;

        public Invalid(string kind, string message) : base(message) { Kind = kind; }
    }

    static class Program
    {
        [DllImport("libc")]
        static extern void _exit(int status);

        static readonly Lines output = new Lines("info"), errors = new Lines("fail");

        /// <summary>Ends the process at once: threads of the function's own must not keep it.</summary>
        public static void End(int status)
        {
            _exit(status);
        }

        static void Main()
        {
            string log = Environment.GetEnvironmentVariable("_LAMBDA_TELEMETRY_LOG_FD");
            if (log != null)
            {
                Log.Descriptor = int.Parse(log);
                Environment.SetEnvironmentVariable("_LAMBDA_TELEMETRY_LOG_FD", null);
                Console.SetOut(output);
                Console.SetError(errors);
            }
            string root = Environment.GetEnvironmentVariable("LAMBDA_TASK_ROOT");
            AppDomain.CurrentDomain.AssemblyResolve += (sender, e) => Handler.Load(root, new AssemblyName(e.Name).Name);
            var connection = new Connection(Environment.GetEnvironmentVariable("AWS_LAMBDA_RUNTIME_API"));
            Run(connection, Start(connection, root));
        }

        static Handler Start(Connection connection, string root)
        {
            try
            {
                return new Handler(Environment.GetEnvironmentVariable("_HANDLER"), root);
            }
            catch (Exception e)
            {
                connection.Send(Failed(connection, "init/error", e));
                connection.Receive();
                End(1);
                throw;
            }
        }

        static void Run(Connection connection, Handler handler)
        {
            byte[] next = connection.Get("invocation/next");
            connection.Send(next);
            for (;;)
            {
                Reply invocation = connection.Receive();
                if (invocation.Status != 200) End(1);
                // One write for the response and the question for more: two round trips cost one.
                connection.Send(Invoke(connection, handler, invocation), next);
                connection.Receive();
            }
        }

        static byte[] Invoke(Connection connection, Handler handler, Reply invocation)
        {
            Log.RequestId = invocation.Header("Lambda-Runtime-Aws-Request-Id");
            Environment.SetEnvironmentVariable("_X_AMZN_TRACE_ID", invocation.Header("Lambda-Runtime-Trace-Id"));
            string target = "invocation/" + Log.RequestId;
            try
            {
                return connection.Post(target + "/response", handler.Call(invocation), "");
            }
            catch (Exception e)
            {
                return Failed(connection, target + "/error", e);
            }
            finally
            {
                output.End();
                errors.End();
            }
        }

        static byte[] Failed(Connection connection, string target, Exception e)
        {
            while (e.InnerException != null && (e is TargetInvocationException || e is AggregateException)) e = e.InnerException;
            Log.Write("fail", e.ToString());
            string kind = Kind(e);
            return connection.Post(target, Encoding.UTF8.GetBytes(Shape(e)), "Lambda-Runtime-Function-Error-Type: " + kind + "\r\n");
        }

        static string Kind(Exception e)
        {
            var invalid = e as Invalid;
            return invalid != null ? invalid.Kind : e.GetType().Name;
        }

        static string Shape(Exception e)
        {
            string[] trace = (e.StackTrace ?? "").Split(new[] { '\n' }, StringSplitOptions.RemoveEmptyEntries)
                .Where(line => !line.Contains(" Lambent.") && !line.Contains("(wrapper ") && !line.Contains(" System.Reflection.")).Select(line => Quote(line.Trim())).ToArray();
            string cause = e.InnerException == null ? "" : ",\"cause\":" + Shape(e.InnerException);
            return "{\"errorType\":" + Quote(Kind(e)) + ",\"errorMessage\":" + Quote(e.Message) + ",\"stackTrace\":[" + string.Join(",", trace) + "]" + cause + "}";
        }

        static string Quote(string text)
        {
            var quoted = new StringBuilder("\"");
            foreach (char c in text)
            {
                if (c == '"' || c == '\\') quoted.Append('\\').Append(c);
                else if (c < ' ' || char.IsSurrogate(c)) quoted.AppendFormat("\\u{0:x4}", (int)c);
                else quoted.Append(c);
            }
            return quoted.Append('"').ToString();
        }
    }
}
