namespace KvmSwitch.Testing.Qmp;

/// <summary>A VNC server's side of one connection (RFC 6143), as QEMU's ui/vnc.c speaks; the test says what and when.</summary>
public sealed class FakeVnc(Stream stream) : IDisposable
{
    private static readonly byte[] Version = "RFB 003.008\n"u8.ToArray();

    /// <summary>Does its part of the handshake, and returns once the client has said which encodings it takes.</summary>
    /// <returns>What the client sent: its version, its choice, its wish to share, and the encodings.</returns>
    public async Task<byte[]> GreetAsync(CancellationToken cancellationToken, string name = "QEMU (win)")
    {
        var heard = new byte[Version.Length + 1 + 1 + 8];
        await SayAsync(Version, cancellationToken);
        await stream.ReadExactlyAsync(heard.AsMemory(0, Version.Length), cancellationToken);
        await SayAsync([1, 1], cancellationToken);
        await stream.ReadExactlyAsync(heard.AsMemory(Version.Length, 1), cancellationToken);
        await SayAsync([0, 0, 0, 0], cancellationToken);
        await stream.ReadExactlyAsync(heard.AsMemory(Version.Length + 1, 1), cancellationToken);
        await SayAsync([.. Picture(name.Length), .. System.Text.Encoding.ASCII.GetBytes(name)], cancellationToken);
        await stream.ReadExactlyAsync(heard.AsMemory(Version.Length + 2), cancellationToken);
        return heard;
    }

    /// <summary>Tells a state: 1 for scroll lock, 2 for num lock, 4 for caps lock.</summary>
    public Task TellAsync(byte leds, CancellationToken cancellationToken) => SayAsync(Message(leds), cancellationToken);

    /// <summary>Sends bytes as they are.</summary>
    public async Task SayAsync(byte[] bytes, CancellationToken cancellationToken) => await stream.WriteAsync(bytes, cancellationToken);

    /// <summary>One byte from the client; null: it has hung up.</summary>
    public async Task<byte?> ReadAsync(CancellationToken cancellationToken)
    {
        var one = new byte[1];
        return await stream.ReadAsync(one, cancellationToken) == 0 ? null : one[0];
    }

    /// <summary>FramebufferUpdate with one rectangle.</summary>
    public static byte[] Message(byte leds, int encoding = -261) =>
    [
        0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 1,
        (byte)(encoding >> 24), (byte)(encoding >> 16), (byte)(encoding >> 8), (byte)encoding, leds,
    ];

    /// <summary>ServerInit: 640 by 480, the pixels' format, and how long the name is.</summary>
    public static byte[] Picture(int nameLength) =>
    [
        0x02, 0x80, 0x01, 0xe0, 32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 16, 8, 0, 0, 0, 0,
        (byte)(nameLength >> 24), (byte)(nameLength >> 16), (byte)(nameLength >> 8), (byte)nameLength,
    ];

    public void Dispose() => stream.Dispose();
}
