using System.Buffers.Binary;
using System.Diagnostics;
using System.Threading.Channels;
using KvmSwitch.Agent.Hotkeys;
using KvmSwitch.Agent.Linux;
using Xunit;

namespace KvmSwitch.Tests.Agent;

/// <summary>A FIFO stands in for an event node: the same reads, polls and ends.</summary>
public sealed class EvdevKeysTests : IDisposable
{
    private readonly TemporaryDirectory root = new();
    private readonly Channel<KeyEvent> seen = Channel.CreateUnbounded<KeyEvent>();

    [Fact]
    public async Task Keys_are_read_and_all_else_is_passed_over()
    {
        AddNode("event3", types: "120013");
        using var keys = Start();
        await using var keyboard = Open("event3");
        Send(keyboard, (4, 4, 30), (1, 30, 1), (0, 0, 0), (1, 30, 2), (1, 30, 0), (2, 0, 5), (1, 31, 1));
        Assert.Equal([(30, KeyMove.Down), (30, KeyMove.Up), (31, KeyMove.Down)], await NextAsync(3));
    }

    [Fact]
    public async Task Lost_events_and_a_vanished_device_release_its_keys()
    {
        AddNode("event3", types: "120013");
        using var keys = Start();
        await using (var keyboard = Open("event3"))
        {
            Send(keyboard, (1, 30, 1), (0, 3, 0));
            Assert.Equal([(30, KeyMove.Down), (0, KeyMove.Lost)], await NextAsync(2));
        }

        Assert.Equal([(0, KeyMove.Lost)], await NextAsync(1));
    }

    [Fact]
    public async Task A_device_that_arrives_is_read_after_a_look_and_named_by_its_usb_device()
    {
        using var keys = Start();
        AddNode("event5", types: "120013");
        await keys.LookAsync().WaitAsync(TimeSpan.FromSeconds(20));
        Assert.True(IsOpen("event5"));
        await using var keyboard = Open("event5");
        Send(keyboard, (1, 37, 1));
        var key = await seen.Reader.ReadAsync().AsTask().WaitAsync(TimeSpan.FromSeconds(20));
        Assert.Equal(("1-2.3", (ushort)37), (key.Device, key.Code));
    }

    [Fact]
    public async Task A_device_that_hangs_while_it_is_opened_holds_up_no_other_and_is_heard_later()
    {
        AddNode("event3", types: "120013");
        AddNode("event4", types: "120013");
        using var works = new ManualResetEventSlim();
        using var keys = new EvdevKeys(new(root.At("sys"), root.At("input")), key => seen.Writer.TryWrite(key), node =>
        {
            if (node.EndsWith("event4", StringComparison.Ordinal)) Assert.True(works.Wait(TimeSpan.FromSeconds(20)));
            return Native.TryOpenForReading(node);
        });
        await using var first = Open("event3");
        Send(first, (1, 30, 1));
        Assert.Equal([(30, KeyMove.Down)], await NextAsync(1));
        Assert.False(IsOpen("event4"));

        works.Set();
        await keys.LookAsync().WaitAsync(TimeSpan.FromSeconds(20));
        await using var second = Open("event4");
        Send(second, (1, 31, 1));
        Assert.Equal([(31, KeyMove.Down)], await NextAsync(1));
    }

    [Fact]
    public async Task A_device_without_keys_is_left_alone()
    {
        AddNode("event3", types: "120013");
        AddNode("event4", types: "5");
        using var keys = Start();
        await using var keyboard = Open("event3");
        Send(keyboard, (1, 30, 1));
        await NextAsync(1);
        Assert.False(IsOpen("event4"));
        Assert.True(IsOpen("event3"));
    }

    public void Dispose() => root.Dispose();

    private static void Send(FileStream device, params (ushort Type, ushort Code, int Value)[] events)
    {
        var bytes = new byte[events.Length * 24];
        for (var index = 0; index < events.Length; index++)
        {
            var one = bytes.AsSpan(index * 24);
            BinaryPrimitives.WriteUInt16LittleEndian(one[16..], events[index].Type);
            BinaryPrimitives.WriteUInt16LittleEndian(one[18..], events[index].Code);
            BinaryPrimitives.WriteInt32LittleEndian(one[20..], events[index].Value);
        }

        device.Write(bytes);
        device.Flush();
    }

    private EvdevKeys Start() => new(new(root.At("sys"), root.At("input")), key => seen.Writer.TryWrite(key));

    private FileStream Open(string node) => new(root.At("input", node), FileMode.Open, FileAccess.Write, FileShare.ReadWrite, bufferSize: 0);

    private bool IsOpen(string node) => Directory.GetFiles("/proc/self/fd").Any(fd => TargetOf(fd) == root.At("input", node));

    /// <summary>Null for a descriptor that another test has closed meanwhile.</summary>
    private static string? TargetOf(string fd)
    {
        try
        {
            return File.ResolveLinkTarget(fd, returnFinalTarget: false)?.FullName;
        }
        catch (FileNotFoundException)
        {
            return null;
        }
    }

    private async Task<(int Code, KeyMove Move)[]> NextAsync(int count)
    {
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(20));
        var keys = new (int, KeyMove)[count];
        for (var index = 0; index < count; index++)
        {
            var key = await seen.Reader.ReadAsync(deadline.Token);
            keys[index] = (key.Code, key.Move);
        }

        return keys;
    }

    private void AddNode(string node, string types)
    {
        var real = root.At("sys/devices/pci0000:00/0000:00:04.0/usb1/1-2/1-2.3/1-2.3:1.0/0003/input/input3", node);
        Directory.CreateDirectory(Path.Combine(real, "device/capabilities"));
        File.WriteAllText(Path.Combine(real, "device/capabilities/ev"), types + "\n");
        Directory.CreateDirectory(root.At("sys/class/input"));
        File.CreateSymbolicLink(root.At("sys/class/input", node), real);
        Directory.CreateDirectory(root.At("input"));
        using var made = Process.Start("mkfifo", [root.At("input", node)]);
        made.WaitForExit();
        Assert.Equal(0, made.ExitCode);
    }
}
