using System.Net.Sockets;
using System.Text;

namespace KvmSwitch.SystemTests.DBus;

/// <summary>A socket where a message bus should be, which says nothing, or nothing right.</summary>
internal sealed class MuteBus : IDisposable
{
    private readonly string _path = Path.Combine(Path.GetTempPath(), $"b-{Guid.NewGuid():N}.sock");
    private readonly Socket _socket = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);

    public MuteBus()
    {
        _socket.Bind(new UnixDomainSocketEndPoint(_path));
        _socket.Listen();
    }

    public string Address => $"unix:path={_path}";

    /// <param name="answer">To the first two things that the client says; empty to hang up at the first.</param>
    public async Task AnswerAndHangUpAsync(string answer)
    {
        using var client = await _socket.AcceptAsync();
        var heard = new byte[512];
        for (var round = 0; round < 2 && await client.ReceiveAsync(heard) > 0 && answer.Length > 0; round++) await client.SendAsync(Encoding.ASCII.GetBytes(answer));
        client.Shutdown(SocketShutdown.Both);
    }

    public void Dispose()
    {
        _socket.Dispose();
        File.Delete(_path);
    }
}
