using System.Net.Sockets;
using KvmSwitch.Daemon.Machines;
using KvmSwitch.Linux.Input;
using KvmSwitch.Qmp.Transport;
using KvmSwitch.Testing.Qmp;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace KvmSwitch.Tests.Daemon;

/// <summary>What a VNC server may say, and what must not be believed.</summary>
public sealed class QemuLedsTests : IAsyncDisposable
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(20);
    private readonly FakeTimeProvider _time = new();
    private readonly CancellationTokenSource _over = new();
    private readonly QemuLeds _leds;
    private readonly FakeVnc _server;

    public QemuLedsTests()
    {
        var (ours, theirs) = SocketPair.Make();
        _leds = new(new NetworkStream(ours, ownsSocket: true), _time);
        _server = new(new NetworkStream(theirs, ownsSocket: true));
    }

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public async ValueTask DisposeAsync()
    {
        await _leds.DisposeAsync();
        _server.Dispose();
        _over.Dispose();
    }

    [Fact]
    public async Task It_asks_for_the_leds_and_for_nothing_else()
    {
        var heard = await GreetAsync();
        Assert.Equal([.. "RFB 003.008\n"u8, 1, 1, 2, 0, 0, 1, 0xff, 0xff, 0xfe, 0xfb], heard);

        await using var states = Read();
        await _server.TellAsync(0, Stop);
        await NextAsync(states, LockLeds.None);
        await _leds.DisposeAsync();
        Assert.Null(await _server.ReadAsync(Stop));
    }

    [Theory]
    [InlineData(0, LockLeds.None)]
    [InlineData(1, LockLeds.Scroll)]
    [InlineData(2, LockLeds.Num)]
    [InlineData(4, LockLeds.Caps)]
    [InlineData(7, LockLeds.Num | LockLeds.Caps | LockLeds.Scroll)]
    [InlineData(0xf8, LockLeds.None)]
    public async Task A_state_is_told_as_it_is(byte told, LockLeds expected)
    {
        await GreetAsync();
        await using var states = Read();
        await _server.TellAsync(told, Stop);
        await NextAsync(states, expected);
    }

    [Fact]
    public async Task Messages_may_come_in_any_pieces_and_beside_others()
    {
        await GreetAsync();
        await using var states = Read();
        byte[] all =
        [
            .. FakeVnc.Message(4), 2, 3, 0, 0, 0, 0, 0, 0x08, 0, .. new byte[0x800], 0, 0, 0, 0, 0, 0, 0, 2, .. FakeVnc.Message(2)[4..], .. FakeVnc.Message(1)[4..],
        ];
        var saying = SayInPiecesAsync(all, 7);
        await NextAsync(states, LockLeds.Caps);
        await NextAsync(states, LockLeds.Num);
        await NextAsync(states, LockLeds.Scroll);
        await saying;
        await SayInPiecesAsync(FakeVnc.Message(7), 1);
        await NextAsync(states, LockLeds.Num | LockLeds.Caps | LockLeds.Scroll);
    }

    public static TheoryData<byte[], string> Nonsense { get; } = new()
    {
        { [1, 0, 0, 0, 0, 1, 9, 9, 9, 9, 9, 9], "a message of type 1" },
        { [0xff], "a message of type 255" },
        { FakeVnc.Message(4, encoding: 0), "a rectangle of encoding 0" },
        { FakeVnc.Message(4, encoding: -223), "a rectangle of encoding -223" },
        { [3, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff], "a text of 2147483647 bytes" },
        { [3, 0, 0, 0, 0xff, 0xff, 0xff, 0xff], "a text of 4294967295 bytes" },
    };

    [Theory]
    [MemberData(nameof(Nonsense))]
    public async Task Nonsense_ends_it(byte[] said, string what)
    {
        await GreetAsync();
        await using var states = Read();
        await _server.SayAsync(said, Stop);
        var error = await Assert.ThrowsAsync<InvalidDataException>(() => states.MoveNextAsync().AsTask().WaitAsync(Deadline, Stop));
        Assert.Equal($"QEMU's VNC server sent {what}", error.Message);
    }

    public static TheoryData<byte[], string> BadGreetings { get; } = new()
    {
        { "RFB 003.003\n"u8.ToArray(), "no version 3.8 of RFB" },
        { "HTTP/1.1 200 OK\r\n"u8.ToArray(), "no version 3.8 of RFB" },
        { [.. "RFB 003.008\n"u8, 0, 0, 0, 0, 1, 65], "no way in without a password" },
        { [.. "RFB 003.008\n"u8, 2, 2, 19], "no way in without a password" },
        { [.. "RFB 003.008\n"u8, 1, 1, 0, 0, 0, 1, 0, 0, 0, 0], "a refusal" },
        { [.. "RFB 003.008\n"u8, 1, 1, 0, 0, 0, 0, .. FakeVnc.Picture(-1)], "a text of 4294967295 bytes" },
    };

    [Theory]
    [MemberData(nameof(BadGreetings))]
    public async Task A_bad_greeting_ends_it(byte[] said, string what)
    {
        await _server.SayAsync(said, Stop);
        var error = await Assert.ThrowsAsync<InvalidDataException>(() => _leds.ShakeHandsAsync(Stop).WaitAsync(Deadline, Stop));
        Assert.Equal($"QEMU's VNC server sent {what}", error.Message);
    }

    [Theory]
    [InlineData("")]
    [InlineData("RFB 003.")]
    [InlineData("RFB 003.008\n\u0001\u0001\0\0\0\0")]
    public async Task Silence_in_the_handshake_is_not_waited_for_for_ever(string said)
    {
        await _server.SayAsync(System.Text.Encoding.Latin1.GetBytes(said), Stop);
        var opening = _leds.ShakeHandsAsync(Stop);
        _time.Advance(QemuLeds.Patience - TimeSpan.FromMilliseconds(1));
        Assert.False(opening.IsCompleted);
        _time.Advance(TimeSpan.FromMilliseconds(1));
        await Assert.ThrowsAsync<TimeoutException>(() => opening.WaitAsync(Deadline, Stop));
    }

    [Fact]
    public async Task A_handshake_can_be_cancelled()
    {
        var opening = _leds.ShakeHandsAsync(_over.Token);
        await _over.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => opening.WaitAsync(Deadline, Stop));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(5)]
    public async Task A_server_that_hangs_up_ends_it(int bytes)
    {
        await GreetAsync();
        await using var states = Read();
        await _server.SayAsync(FakeVnc.Message(4)[..bytes], Stop);
        _server.Dispose();
        await Assert.ThrowsAsync<EndOfStreamException>(() => states.MoveNextAsync().AsTask().WaitAsync(Deadline, Stop));
    }

    private async Task<byte[]> GreetAsync()
    {
        var opening = _leds.ShakeHandsAsync(Stop);
        var heard = await _server.GreetAsync(Stop).WaitAsync(Deadline, Stop);
        await opening.WaitAsync(Deadline, Stop);
        return heard;
    }

    private IAsyncEnumerator<LockLeds> Read() => _leds.ReadAllAsync(_over.Token).GetAsyncEnumerator(Stop);

    private static async Task NextAsync(IAsyncEnumerator<LockLeds> states, LockLeds expected)
    {
        Assert.True(await states.MoveNextAsync().AsTask().WaitAsync(Deadline, Stop));
        Assert.Equal(expected, states.Current);
    }

    private async Task SayInPiecesAsync(byte[] all, int size)
    {
        foreach (var piece in all.Chunk(size)) await _server.SayAsync(piece, Stop);
    }
}
