using System.Net.Sockets;
using System.Text;
using System.Threading.Channels;
using KvmSwitch.Agent.Linux;
using Xunit;

namespace KvmSwitch.Tests.Agent;

/// <summary>A Unix datagram socket stands in for the kernel's.</summary>
public sealed class UeventsTests : IDisposable
{
    private readonly TemporaryDirectory root = new();
    private readonly Socket kernel = new(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified);
    private readonly Channel<int> looks = Channel.CreateUnbounded<int>();
    private readonly CancellationTokenSource stop = new();
    private readonly Uevents uevents;

    public UeventsTests()
    {
        var agent = new Socket(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified);
        agent.Bind(new UnixDomainSocketEndPoint(root.At("events")));
        kernel.Connect(new UnixDomainSocketEndPoint(root.At("events")));
        uevents = new(agent);
    }

    [Fact]
    public async Task It_looks_at_the_start_and_after_events_of_what_it_reports_only()
    {
        var running = uevents.RunAsync(() => looks.Writer.TryWrite(1), stop.Token);
        await LookedAsync();
        foreach (var subsystem in new[] { "usb", "input", "pci", "block" })
        {
            Announce("net");
            Announce("pci_bus");
            Announce(subsystem);
            await LookedAsync();
        }

        await EndAsync(running);
        Assert.False(looks.Reader.TryRead(out _));
    }

    [Fact]
    public async Task A_burst_is_one_look()
    {
        for (var count = 0; count < 5; count++)
            Announce("usb");
        var running = uevents.RunAsync(() => looks.Writer.TryWrite(1), stop.Token);
        await LookedAsync();
        await LookedAsync();
        await EndAsync(running);
        Assert.False(looks.Reader.TryRead(out _));
    }

    [Fact]
    public async Task The_socket_of_this_kernel_can_be_listened_to()
    {
        using var real = Uevents.Open();
        var running = real.RunAsync(() => looks.Writer.TryWrite(1), stop.Token);
        await LookedAsync();
        await EndAsync(running);
    }

    public void Dispose()
    {
        uevents.Dispose();
        kernel.Dispose();
        stop.Dispose();
        root.Dispose();
    }

    private void Announce(string subsystem) =>
        kernel.Send(Encoding.UTF8.GetBytes($"add@/devices/x\0ACTION=add\0DEVPATH=/devices/x\0SUBSYSTEM={subsystem}\0SEQNUM=1\0"));

    private async Task LookedAsync() => await looks.Reader.ReadAsync().AsTask().WaitAsync(TimeSpan.FromSeconds(20));

    private async Task EndAsync(Task running)
    {
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => running);
    }
}
