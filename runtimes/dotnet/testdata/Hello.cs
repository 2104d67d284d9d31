using System;
using System.Collections.Generic;
using System.IO;
using System.Threading.Tasks;
using Amazon.Lambda.Core;

// What a function brings from AWS's library, as far as these handlers use it.
namespace Amazon.Lambda.Core
{
    public interface ILambdaLogger
    {
        void LogLine(string message);
        void LogWarning(string message);
    }

    public interface ILambdaContext
    {
        string AwsRequestId { get; }
        string FunctionName { get; }
        string InvokedFunctionArn { get; }
        int MemoryLimitInMB { get; }
        TimeSpan RemainingTime { get; }
        ILambdaLogger Logger { get; }
    }
}

namespace Example
{
    public class Person
    {
        public string Name { get; set; }
        public int Age { get; set; }
    }

    public class Hello
    {
        int calls;

        public Person Older(Person p, ILambdaContext context)
        {
            calls++;
            Console.WriteLine("call {0} of {1}", calls, p.Name);
            context.Logger.LogWarning("from the logger");
            p.Age += calls;
            return p;
        }

        public static async Task<string> Later(string text)
        {
            await Task.Delay(1);
            return text + "!";
        }

        public Stream Echo(Stream input) { return input; }

        public void Nothing(Dictionary<string, string> input) { }

        public string Context(Stream input, ILambdaContext c)
        {
            return string.Join(" ", c.AwsRequestId, c.FunctionName, c.InvokedFunctionArn, c.MemoryLimitInMB, c.RemainingTime.TotalSeconds > 1,
                Environment.GetEnvironmentVariable("_X_AMZN_TRACE_ID"), Directory.GetCurrentDirectory());
        }

        public async Task<int> Fail(Stream input)
        {
            await Task.Delay(1);
            throw new InvalidOperationException("no", new ArgumentException("why"));
        }
    }

    public class Broken
    {
        public Broken() { throw new InvalidOperationException("at start"); }

        public void Run(Stream input) { }
    }
}
