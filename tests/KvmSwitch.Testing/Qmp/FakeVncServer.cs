using System.Net.Sockets;
using System.Text.Json.Nodes;
using System.Threading.Channels;
using Microsoft.Win32.SafeHandles;

namespace KvmSwitch.Testing.Qmp;

/// <summary>The VNC server of a <see cref="FakeQemu"/>, if it has one: its clients come by <c>getfd</c> and <c>add_client</c>.</summary>
internal sealed class FakeVncServer(bool isThere) : IDisposable
{
    private readonly Dictionary<string, SafeFileHandle> _named = new(StringComparer.Ordinal);
    private readonly Channel<FakeVnc> _clients = Channel.CreateUnbounded<FakeVnc>();

    internal ChannelReader<FakeVnc> Clients => _clients.Reader;

    internal FakeOutcome List() => FakeOutcome.Done(isThere ? new JsonArray(new JsonObject { ["id"] = "default", ["auth"] = "none" }) : []);

    internal FakeOutcome Take(JsonObject arguments, SafeFileHandle? descriptor)
    {
        if (descriptor is null) return FakeOutcome.Refused("No file descriptor supplied via SCM_RIGHTS");
        var name = FakeDeviceRules.Text(arguments, "fdname")!;
        if (_named.Remove(name, out var old)) old.Dispose();
        _named[name] = descriptor;
        return FakeOutcome.Done();
    }

    internal FakeOutcome Add(JsonObject arguments)
    {
        var name = FakeDeviceRules.Text(arguments, "fdname")!;
        if (!_named.Remove(name, out var descriptor)) return FakeOutcome.Refused($"File descriptor named '{name}' has not been found");
        // As QEMU does: without a server the descriptor is kept by nobody, and the answer is the same.
        if (!isThere) return FakeOutcome.Done();
        var handle = new SafeSocketHandle(descriptor.DangerousGetHandle(), ownsHandle: true);
        descriptor.SetHandleAsInvalid();
        _clients.Writer.TryWrite(new(new NetworkStream(new Socket(handle), ownsSocket: true)));
        return FakeOutcome.Done();
    }

    public void Dispose()
    {
        foreach (var descriptor in _named.Values) descriptor.Dispose();
        while (_clients.Reader.TryRead(out var client)) client.Dispose();
    }
}
