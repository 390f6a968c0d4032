using System.Buffers;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.Win32.SafeHandles;

namespace KvmSwitch.Testing.Qmp;

/// <summary>One client's connection: objects in, messages out, and what happens to the bytes on their way.</summary>
internal sealed class FakeSession(Socket socket, FakeWire wire) : IDisposable
{
    private readonly SemaphoreSlim _writing = new(1, 1);
    private readonly ArrayBufferWriter<byte> _unread = new();
    private readonly Queue<SafeFileHandle> _descriptors = new();
    private int? _bytesLeft = wire.CloseAfterBytes;

    internal bool IsNegotiated { get; set; }

    internal bool IsClosed { get; private set; }

    /// <summary>The next line; null when the client left.</summary>
    internal async Task<string?> ReadAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            var feed = _unread.WrittenSpan.IndexOf((byte)'\n');
            if (feed >= 0)
            {
                var line = Encoding.UTF8.GetString(_unread.WrittenSpan[..feed]);
                var rest = _unread.WrittenSpan[(feed + 1)..].ToArray();
                _unread.Clear();
                _unread.Write(rest);
                return line;
            }

            var (count, came) = await DescriptorReader.ReadAsync(socket, _unread.GetMemory(4096), cancellationToken);
            if (count == 0)
            {
                return null;
            }

            _unread.Advance(count);
            if (came is not null)
            {
                _descriptors.Enqueue(came);
            }
        }
    }

    /// <summary>The oldest descriptor that nobody took; like QEMU's, it belongs to no line until a command asks for it.</summary>
    internal SafeFileHandle? TakeDescriptor() => _descriptors.TryDequeue(out var descriptor) ? descriptor : null;

    /// <summary>Sends text as it is, in the pieces that the wire allows.</summary>
    internal async Task SendAsync(string text, CancellationToken cancellationToken)
    {
        await _writing.WaitAsync(cancellationToken);
        try
        {
            ReadOnlyMemory<byte> bytes = Encoding.UTF8.GetBytes(text);
            var closes = _bytesLeft is { } left && bytes.Length >= left;
            bytes = closes ? bytes[.._bytesLeft!.Value] : bytes;
            _bytesLeft -= bytes.Length;
            while (!bytes.IsEmpty && !IsClosed)
            {
                var piece = wire.ChunkBytes > 0 ? Math.Min(wire.ChunkBytes, bytes.Length) : bytes.Length;
                await socket.SendAsync(bytes[..piece], cancellationToken);
                bytes = bytes[piece..];
            }

            if (closes)
            {
                Close();
            }
        }
        catch (SocketException)
        {
            // The client left while we wrote, which QEMU does not mind either.
            Close();
        }
        finally
        {
            _writing.Release();
        }
    }

    internal void Close()
    {
        IsClosed = true;
        socket.Dispose();
    }

    public void Dispose()
    {
        Close();
        foreach (var descriptor in _descriptors)
        {
            descriptor.Dispose();
        }

        _writing.Dispose();
    }

    /// <summary>The command in a line, or QEMU's complaint about it.</summary>
    internal static (FakeCommand? Command, JsonNode? Id, FakeOutcome? Complaint) Parse(string line)
    {
        JsonNode? parsed;
        try
        {
            parsed = JsonNode.Parse(line);
        }
        catch (JsonException)
        {
            return (null, null, FakeOutcome.Refused("JSON parse error, expecting value"));
        }

        if (parsed is not JsonObject request)
        {
            return (null, null, FakeOutcome.Refused("QMP input must be a JSON object"));
        }

        var id = request["id"]?.DeepClone();
        return FakeDeviceRules.Text(request, "execute") is { } name
            ? (new FakeCommand(name, request["arguments"]?.DeepClone() as JsonObject ?? []), id, null)
            : (null, id, FakeOutcome.Refused("QMP input lacks member 'execute'"));
    }
}
