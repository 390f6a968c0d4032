using System.Buffers;
using System.Runtime.CompilerServices;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Grpc.Core;
using KvmSwitch.Cli.Connection;
using KvmSwitch.Cli.Output;
using KvmSwitch.Cli.Parsing;
using KvmSwitch.Proto.V1;

namespace KvmSwitch.Cli;

/// <summary>One run of one command: asks the daemon and writes what came of it.</summary>
internal sealed class Session(Surroundings around, GlobalOptions options)
{
    private readonly Control.ControlClient daemon = new(new DaemonCalls(options.Socket));

    public Surroundings Around { get; } = around;

    public bool Json { get; } = options.Json;

    public TextLayout Layout { get; } = new(around.Width, options.Colour);

    /// <summary>Calls the daemon, within the call's deadline.</summary>
    /// <exception cref="CliException">The daemon is not there, refused, or failed.</exception>
    public async Task<T> AskAsync<T>(
        Call call, Func<Control.ControlClient, CallOptions, AsyncUnaryCall<T>> ask, CancellationToken cancellation)
    {
        try
        {
            var deadline = call.Deadline is { } time ? DateTime.UtcNow + time : (DateTime?)null;
            using var answer = ask(daemon, new CallOptions(deadline: deadline, cancellationToken: cancellation));
            return await answer;
        }
        catch (RpcException failure)
        {
            cancellation.ThrowIfCancellationRequested();
            throw CallFailure.Describe(failure, call, options.Socket);
        }
    }

    /// <summary>Reads a stream of answers until the daemon ends it.</summary>
    /// <exception cref="CliException">The daemon is not there, refused, or failed.</exception>
    public async IAsyncEnumerable<T> StreamAsync<T>(
        Call call,
        Func<Control.ControlClient, CallOptions, AsyncServerStreamingCall<T>> ask,
        [EnumeratorCancellation] CancellationToken cancellation)
    {
        using var answers = await Told(() => Task.FromResult(ask(daemon, new CallOptions(cancellationToken: cancellation))));
        while (await Told(() => answers.ResponseStream.MoveNext(cancellation)))
        {
            yield return answers.ResponseStream.Current;
        }

        async Task<TStep> Told<TStep>(Func<Task<TStep>> step)
        {
            try
            {
                return await step();
            }
            catch (RpcException failure)
            {
                cancellation.ThrowIfCancellationRequested();
                throw CallFailure.Describe(failure, call, options.Socket);
            }
        }
    }

    public void Write(string text)
    {
        Around.Out.Write(text);
        Around.Out.Flush();
    }

    /// <summary>A word for people that is not the output: nothing that a script would want to read.</summary>
    public void Hint(string text) => Around.Error.Write(text + "\n");

    /// <param name="write">Writes one value.</param>
    /// <param name="line">One line of several, instead of a document for itself.</param>
    public void WriteJson(Action<Utf8JsonWriter> write, bool line = false)
    {
        var bytes = new ArrayBufferWriter<byte>();
        // It goes to a terminal or a program, never into a web page: letters and arrows stay readable.
        using (var json = new Utf8JsonWriter(bytes, new JsonWriterOptions { Indented = !line, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
        {
            write(json);
        }

        Write(Encoding.UTF8.GetString(bytes.WrittenSpan) + "\n");
    }
}
