using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography;
using KvmSwitch.Demo.Harness;
using Xunit;

namespace KvmSwitch.SystemTests;

/// <summary>Whatever strangers do at the guests' port, the real agent is served. They come from the guest's own address: the worst case.</summary>
public sealed class GuestPortScenarios(SharedDemo demo)
{
    private const int Many = 40;
    private const int LogLines = 200;
    private static readonly TimeSpan OneAnswer = TimeSpan.FromSeconds(20);

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact(Timeout = 300_000)]
    public async Task Random_bytes_are_answered_with_the_end_of_the_connection()
    {
        await demo.SettleAsync();
        await demo.Host.RunAsync(Stop, "give", "keyboard");
        var logged = LogLength();

        foreach (var length in new[] { 1, 5, 600, 70_000 })
        {
            using var stranger = await ConnectAsync();
            await AssertHungUpAsync(stranger, stranger.GetStream(), RandomNumberGenerator.GetBytes(length));
        }

        await AssertServedAsync(logged);
    }

    [Fact(Timeout = 300_000)]
    public async Task Garbage_inside_of_TLS_without_a_certificate_is_answered_with_the_end_of_the_connection()
    {
        await demo.SettleAsync();
        await demo.Host.RunAsync(Stop, "give", "keyboard");
        var logged = LogLength();

        foreach (var garbage in new[] { RandomNumberGenerator.GetBytes(5000), [.. "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"u8, .. RandomNumberGenerator.GetBytes(5000)] })
        {
            using var stranger = await ConnectAsync();
            await using var tls = await TlsAsync(stranger);
            await AssertHungUpAsync(stranger, tls, garbage);
        }

        await AssertServedAsync(logged);
    }

    [Fact(Timeout = 300_000)]
    public async Task Connections_that_are_held_open_keep_no_agent_out()
    {
        await demo.SettleAsync();
        await demo.Host.RunAsync(Stop, "give", "keyboard");
        var logged = LogLength();
        var held = new List<TcpClient>();
        try
        {
            for (var count = 0; count < Many; count++) await KnockAsync(async () => held.Add(await ConnectAsync()));
            for (var count = 0; count < Many / 4; count++)
            {
                await KnockAsync(async () =>
                {
                    held.Add(await ConnectAsync());
                    _ = await TlsAsync(held[^1]);
                });
            }

            await AssertServedAsync(logged);

            // Nor one that has to connect anew.
            await demo.Guest.Console.RunAsync("kill -KILL $(cat /run/agent.pid)", Refused.Patience, Stop);
            await demo.Host.WaitForStateAsync(
                state => !state["machines"]![0]!["agent_live"]!.GetValue<bool>() || AgentIsBack(logged), "the agent's end was noticed", Stop);
            await demo.Guest.WaitUntilLiveAsync(Stop);
            // Without its agent for about as long as the lease, the keyboard may have begun its way home.
            await demo.Host.RunAsync(Stop, "take", "--all");
            await demo.Host.RunAsync(Stop, "give", "keyboard");
        }
        finally
        {
            foreach (var stranger in held) stranger.Dispose();
        }
    }

    [Fact(Timeout = 300_000)]
    public async Task A_flood_of_connections_fills_no_log_and_stops_nobody()
    {
        await demo.SettleAsync();
        await demo.Host.RunAsync(Stop, "give", "keyboard");
        var logged = LogLength();

        for (var wave = 0; wave < 10; wave++)
        {
            await Task.WhenAll(Enumerable.Range(0, Many).Select(_ => KnockAsync(AskAsync)));
        }

        await AssertServedAsync(logged);
    }

    [Fact(Timeout = 300_000)]
    public async Task The_guests_clock_may_jump_by_years()
    {
        await demo.SettleAsync();
        await demo.Host.RunAsync(Stop, "give", "keyboard");
        try
        {
            foreach (var time in new[] { "2041-01-01 00:00", "2001-01-01 00:00" })
            {
                await demo.Guest.Console.RunAsync($"date -s '{time}'", Refused.Patience, Stop);
                await demo.Guest.WaitUntilLiveAsync(Stop);
                await demo.Host.RunAsync(Stop, "take", "keyboard");
                await demo.Host.RunAsync(Stop, "give", "keyboard");
            }

            // An agent that connects anew has to be known in spite of its clock.
            var logged = LogLength();
            await demo.Guest.Console.RunAsync("kill -KILL $(cat /run/agent.pid)", Refused.Patience, Stop);
            await Condition.HoldsAsync(() => AgentIsBack(logged), "the agent has connected anew", Refused.Patience, Stop);
            await demo.Guest.WaitUntilLiveAsync(Stop);
            await demo.Host.RunAsync(Stop, "give", "keyboard");
        }
        finally
        {
            await demo.Guest.Console.RunAsync($"date -s @{TimeProvider.System.GetUtcNow().ToUnixTimeSeconds()}", Refused.Patience, Stop);
        }
    }

    private long LogLength() => new FileInfo(demo.Host.DaemonLog).Length;

    private bool AgentIsBack(long logged) => demo.Host.ReadLog(logged).Contains("connected", StringComparison.Ordinal);

    /// <summary>The agent kept its lease or has it again, devices still move, and the log didn't grow with the noise.</summary>
    private async Task AssertServedAsync(long logged)
    {
        await demo.Guest.WaitUntilLiveAsync(Stop);
        await demo.Host.RunAsync(Stop, "take", "keyboard");
        var given = await demo.Host.RunAsync(Stop, "give", "keyboard");
        Assert.Equal("done", (string?)given["outcome"]);
        Assert.Equal(["keyboard"], await demo.PluggedInAsync());
        var lines = demo.Host.ReadLog(logged).Split('\n');
        Assert.True(lines.Length < LogLines, $"strangers made the daemon log {lines.Length} lines, the last: {lines[^2]}");
        Assert.DoesNotContain(lines, line => line.Contains("fail:", StringComparison.Ordinal) || line.Contains("crit:", StringComparison.Ordinal));
    }

    private async Task<TcpClient> ConnectAsync()
    {
        var stranger = new TcpClient();
        await stranger.ConnectAsync(IPAddress.Loopback, demo.Host.Port, Stop);
        return stranger;
    }

    private async Task AskAsync()
    {
        using var stranger = await ConnectAsync();
        await stranger.GetStream().WriteAsync("GET / HTTP/1.1\r\n\r\n"u8.ToArray(), Stop);
    }

    private static async Task KnockAsync(Func<Task> knock)
    {
        try
        {
            await knock();
        }
        catch (Exception turnedAway) when (turnedAway is SocketException or IOException)
        {
            // A stranger that is turned away at the door is what limits are for.
            Assert.False(Stop.IsCancellationRequested);
        }
    }

    private static async Task<SslStream> TlsAsync(TcpClient stranger)
    {
        var tls = new SslStream(stranger.GetStream());
        await tls.AuthenticateAsClientAsync(
            new SslClientAuthenticationOptions
            {
                TargetHost = "kvmswitch-host",
                ApplicationProtocols = [SslApplicationProtocol.Http2],
                RemoteCertificateValidationCallback = (_, certificate, _, _) => certificate is not null,
            },
            Stop);
        return tls;
    }

    /// <summary>Writes and reads until the other side is done with us.</summary>
    private static async Task AssertHungUpAsync(TcpClient stranger, Stream stream, byte[] garbage)
    {
        using var late = CancellationTokenSource.CreateLinkedTokenSource(Stop);
        late.CancelAfter(OneAnswer);
        try
        {
            await stream.WriteAsync(garbage, late.Token);
            await stream.CopyToAsync(Stream.Null, late.Token);
        }
        catch (IOException)
        {
            // A reset is an end as well.
        }

        Assert.False(late.IsCancellationRequested, "the daemon held on to a stranger");
        stranger.Close();
    }
}
