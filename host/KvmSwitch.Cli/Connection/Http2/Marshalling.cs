using System.Buffers;
using Grpc.Core;

namespace KvmSwitch.Cli.Connection.Http2;

/// <summary>Takes the bytes of one request from the generated code.</summary>
internal sealed class RequestBytes : SerializationContext
{
    private readonly ArrayBufferWriter<byte> _bytes = new();

    public ReadOnlySpan<byte> Written => _bytes.WrittenSpan;

    public override void Complete(byte[] payload) => _bytes.Write(payload);

    public override IBufferWriter<byte> GetBufferWriter() => _bytes;

    public override void SetPayloadLength(int payloadLength)
    {
        // The length is known anyway, once all is written.
    }

    public override void Complete()
    {
        // All is written.
    }
}

/// <summary>Gives the bytes of one answer to the generated code.</summary>
internal sealed class AnswerBytes(byte[] message) : DeserializationContext
{
    public override int PayloadLength => message.Length;

    public override byte[] PayloadAsNewBuffer() => message;

    public override ReadOnlySequence<byte> PayloadAsReadOnlySequence() => new(message);
}
