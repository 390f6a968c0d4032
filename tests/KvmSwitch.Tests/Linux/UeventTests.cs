using System.Buffers.Binary;
using System.Text;
using CsCheck;
using KvmSwitch.Linux;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace KvmSwitch.Tests.Linux;

public sealed class UeventTests
{
    private const string Properties = "ACTION=bind\0DEVPATH=/devices/usb1/1-4/1-4:1.0\0SUBSYSTEM=usb\0DRIVER=usbhid\0MODALIAS=a=b\0SEQNUM=12\0";

    [Fact]
    public void The_kernels_message_is_read()
    {
        var uevent = Uevent.ParseKernel(Encoding.UTF8.GetBytes("bind@/devices/usb1/1-4/1-4:1.0\0" + Properties));

        Assert.NotNull(uevent);
        Assert.Equal(("bind", "usb", "/devices/usb1/1-4/1-4:1.0"), (uevent.Action, uevent.Subsystem, uevent.DevPath));
    }

    [Fact]
    public void Udevs_message_is_read() => Assert.Equal(new("bind", "usb", "/devices/usb1/1-4/1-4:1.0"), Uevent.ParseUdev(Udev(Properties)));

    [Theory]
    [InlineData(8, 0xfeedcaffu, true)] // Another magic.
    [InlineData(16, 8u, false)] // Properties inside of the header.
    [InlineData(16, 0xffffffffu, false)]
    [InlineData(20, 10_000u, false)] // Longer than the message.
    [InlineData(20, 0xffffffffu, false)]
    public void A_header_of_udev_that_lies_is_no_event(int offset, uint value, bool bigEndian)
    {
        var message = Udev(Properties);
        if (bigEndian) BinaryPrimitives.WriteUInt32BigEndian(message.AsSpan(offset), value);
        else BitConverter.TryWriteBytes(message.AsSpan(offset), value);

        Assert.Null(Uevent.ParseUdev(message));
    }

    [Theory]
    [InlineData("")]
    [InlineData("add@/devices/x")]
    [InlineData("no-at-sign\0ACTION=add\0DEVPATH=/x\0SUBSYSTEM=usb\0")]
    [InlineData("add@/x\0ACTION=add\0DEVPATH=/x\0")]
    [InlineData("rescan@/x\0ACTION=rescan\0DEVPATH=/x\0SUBSYSTEM=usb\0")]
    public void What_is_incomplete_or_pretends_to_be_ours_is_no_event(string message) => Assert.Null(Uevent.ParseKernel(Encoding.UTF8.GetBytes(message)));

    [Fact]
    public void No_bytes_make_the_parsers_throw() => Gen.Select(Gen.Byte.Array[0, 200], Gen.Int[0, 120]).Sample((noise, kept) =>
    {
        Assert.Null(Uevent.ParseUdev(noise));
        _ = Uevent.ParseKernel([.. "add@/x\0ACTION=add\0"u8, .. noise]);
        _ = Uevent.ParseUdev([.. Udev(Properties).AsSpan(0, kept), .. noise]);
    });

    [Theory]
    [InlineData(0u, 1u, 0u, 1u, true)]
    [InlineData(77u, 1u, 0u, 1u, false)] // Not the kernel itself.
    [InlineData(77u, 0u, 0u, 1u, false)] // To us alone, not to the group.
    [InlineData(77u, 2u, 0u, 2u, true)]
    [InlineData(77u, 2u, 1000u, 2u, false)] // Not root.
    [InlineData(77u, 0u, 0u, 2u, false)]
    [InlineData(77u, 2u, null, 2u, false)]
    public void Only_the_kernel_and_roots_udev_are_trusted(uint port, uint groups, uint? user, uint group, bool trusted) =>
        Assert.Equal(trusted, new UeventSender(port, groups, user).IsTrusted(group));

    [Fact]
    public async Task A_listener_that_does_not_keep_up_is_told_to_look_at_everything()
    {
        var hub = new UeventHub();
        using var slow = hub.Listen();
        for (var i = 0; i <= UeventListener.Capacity; i++) hub.Publish(Event($"e{i}"));
        hub.Publish(Event("last"));
        slow.Dispose();

        var seen = new List<string>();
        await foreach (var uevent in slow.ReadAllAsync(CancellationToken.None)) seen.Add(uevent.Action);
        Assert.Equal([Uevent.RescanAction, "last"], seen);
    }

    [Fact]
    public async Task Waiting_ends_by_a_wanted_event_or_by_the_clock_and_not_by_others()
    {
        var (hub, clock) = (new UeventHub(), new FakeTimeProvider());
        using var listener = hub.Listen();
        Task<bool> Wait() => listener.WaitAsync(e => e.Action == "bind", TimeSpan.FromSeconds(1), clock, CancellationToken.None);

        var first = Wait();
        hub.Publish(Event("add"));
        Assert.False(first.IsCompleted);
        hub.Publish(Event("bind"));
        Assert.True(await first.WaitAsync(TimeSpan.FromSeconds(20)));

        var second = Wait();
        Assert.False(second.IsCompleted);
        clock.Advance(TimeSpan.FromSeconds(1));
        Assert.False(await second.WaitAsync(TimeSpan.FromSeconds(20)));
    }

    [Fact]
    public async Task The_kernel_is_heard()
    {
        const string Trigger = "/sys/class/net/lo/uevent";
        Assert.SkipUnless(CanWrite(Trigger), "making the kernel send an event needs root and a writable /sys");
        await using var monitor = UeventMonitor.Start(new KernelPaths("/sys", "/dev", "/nowhere"));
        using var listener = monitor.Listen();
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(20));

        await File.WriteAllTextAsync(Trigger, "change");

        await foreach (var uevent in listener.ReadAllAsync(deadline.Token))
        {
            if (uevent is { Action: "change", Subsystem: "net", DevPath: "/devices/virtual/net/lo" }) break;
        }

        Assert.False(monitor.Completion.IsCompleted);
    }

    [Fact]
    public async Task Events_that_the_socket_had_no_room_for_become_a_rescan()
    {
        const string Trigger = "/sys/class/net/lo/uevent";
        Assert.SkipUnless(CanWrite(Trigger), "making the kernel send an event needs root and a writable /sys");
        using var socket = new UeventSocket(UeventSocket.KernelGroup);
        for (var i = 0; i < 3000; i++) await File.WriteAllTextAsync(Trigger, "change");

        await socket.WaitAsync(CancellationToken.None);
        while (socket.TryReceive() is not null)
        {
            // Until the queue is empty.
        }

        Assert.True(socket.WasOverrun);
    }

    [Fact]
    public async Task A_monitor_that_is_disposed_ends_without_an_error()
    {
        var monitor = UeventMonitor.Start(KernelPaths.Real);
        await monitor.DisposeAsync();

        await monitor.Completion;
    }

    private static Uevent Event(string action) => Uevent.Rescan with { Action = action, Subsystem = "usb" };

    private static byte[] Udev(string properties)
    {
        var header = new byte[40];
        "libudev\0"u8.CopyTo(header);
        BinaryPrimitives.WriteUInt32BigEndian(header.AsSpan(8), 0xfeedcafe);
        BitConverter.TryWriteBytes(header.AsSpan(12), 40u);
        BitConverter.TryWriteBytes(header.AsSpan(16), 40u);
        BitConverter.TryWriteBytes(header.AsSpan(20), (uint)properties.Length);
        return [.. header, .. Encoding.UTF8.GetBytes(properties)];
    }

    private static bool CanWrite(string path)
    {
        try
        {
            using var file = File.OpenWrite(path);
            return true;
        }
        catch (Exception e) when (e is UnauthorizedAccessException or IOException)
        {
            return false;
        }
    }
}
