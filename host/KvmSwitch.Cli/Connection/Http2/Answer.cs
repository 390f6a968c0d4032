using System.Globalization;
using Grpc.Core;

namespace KvmSwitch.Cli.Connection.Http2;

/// <summary>From the headers and trailers of an answer to gRPC's status.</summary>
internal static class Answer
{
    private const string NumberField = "grpc-status";
    private static readonly string[] Ours = ["kvmswitch-exit"];


    /// <exception cref="Http2ProtocolException">A server answers that knows nothing of gRPC.</exception>
    public static RpcException? Failure(IReadOnlyDictionary<string, string> fields)
    {
        var number = fields.GetValueOrDefault(NumberField);
        if (number is null)
        {
            return WithoutGrpc(fields.GetValueOrDefault(":status"));
        }

        if (!int.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out var code))
        {
            throw new Http2ProtocolException("a status that is no number");
        }

        // The message is percent-encoded (gRPC over HTTP/2, "Responses").
        var sentence = Uri.UnescapeDataString(fields.GetValueOrDefault("grpc-message") ?? "");
        return code == 0 ? null : new RpcException(new Status((StatusCode)code, sentence), Trailers(fields));
    }

    private static RpcException WithoutGrpc(string? status) => status switch
    {
        "404" => new RpcException(new Status(StatusCode.Unimplemented, "the daemon does not know the call")),
        _ => throw new Http2ProtocolException($"an answer with status {status} that is not gRPC's"),
    };

    private static Metadata Trailers(IReadOnlyDictionary<string, string> fields)
    {
        var trailers = new Metadata();
        foreach (var name in Ours)
        {
            if (fields.TryGetValue(name, out var value))
            {
                trailers.Add(name, value);
            }
        }

        return trailers;
    }
}
