using System.Buffers.Binary;
using System.Globalization;
using KvmSwitch.Agent.Hotkeys;
using Microsoft.Win32.SafeHandles;

namespace KvmSwitch.Agent.Linux;

/// <summary>Key events of all input devices (Documentation/input/event-codes.rst in the kernel's source). Reads along, grabs nothing.</summary>
internal sealed class EvdevKeys : IDisposable
{
    private const int Keys = 1;
    private static readonly uint[] Unwanted = [2, 3, 4, 5];

    /// <summary>A device that takes longer to open than this, as one whose driver hangs, holds up nobody any more: it is heard when it is open.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(2);

    private readonly LinuxPaths paths;
    private readonly Action<KeyEvent> sink;
    private readonly Func<string, SafeFileHandle?> openNode;
    private readonly SafeFileHandle wake = Native.OpenEventCounter();
    private readonly Lock gate = new();
    private readonly SortedDictionary<string, Node> nodes = new(StringComparer.Ordinal);
    private readonly Dictionary<string, (Task Open, Task OpenOrLate)> opening = new(StringComparer.Ordinal);
    private readonly Thread reader;
    private volatile bool stopping;

    /// <param name="paths">Where the kernel shows its devices.</param>
    /// <param name="sink">Gets every event, in order for each device; must return at once.</param>
    /// <param name="openNode">Opens a node for reading; null when it can't be opened. By default the kernel's open(2).</param>
    public EvdevKeys(LinuxPaths paths, Action<KeyEvent> sink, Func<string, SafeFileHandle?>? openNode = null)
    {
        this.openNode = openNode ?? Native.TryOpenForReading;
        this.paths = paths;
        this.sink = sink;
        LookAsync().Wait();
        reader = new(ReadAll) { IsBackground = true, Name = "evdev" };
        reader.Start();
    }

    /// <summary>
    /// Input devices may have come or gone: once what this returns has ended, no key of those that are there now is missed, but for one that
    /// has not let itself be opened for two seconds. From any thread.
    /// </summary>
    public Task LookAsync()
    {
        Native.Raise(wake);
        lock (gate)
        {
            foreach (var path in EventNodes())
            {
                if (Real(path) is { } real && !nodes.ContainsKey(real) && !opening.ContainsKey(real))
                {
                    var open = OpenAsync(path, real);
                    opening[real] = (open, ForAWhileAsync(open));
                }
            }

            return Task.WhenAll(opening.Values.Select(one => one.OpenOrLate));
        }
    }

    public void Dispose()
    {
        stopping = true;
        Native.Raise(wake);
        reader.Join();
        Task.WaitAll(Opening(), Patience);
        foreach (var node in Open())
            node.File.Dispose();
        wake.Dispose();
    }

    private void ReadAll()
    {
        Span<byte> counter = stackalloc byte[sizeof(ulong)];
        while (!stopping)
        {
            var open = Open();
            var entries = new Native.PollEntry[open.Length + 1];
            entries[0] = new() { Descriptor = (int)wake.DangerousGetHandle(), Events = Native.PollIn };
            for (var index = 0; index < open.Length; index++)
                entries[index + 1] = new() { Descriptor = (int)open[index].File.DangerousGetHandle(), Events = Native.PollIn };
            Native.Poll(entries);
            for (var index = 0; index < open.Length; index++)
            {
                if (entries[index + 1].Returned != 0)
                    Read(open[index]);
            }

            if (entries[0].Returned != 0)
                Native.TryRead(wake, counter);
        }
    }

    private Node[] Open()
    {
        lock (gate)
            return [.. nodes.Values];
    }

    private Task[] Opening()
    {
        lock (gate)
            return [.. opening.Values.Select(one => one.Open)];
    }

    /// <summary>Each on a thread of its own: opening a hid device takes 50 ms (usbhid_open in drivers/hid/usbhid/hid-core.c), and a set has several.</summary>
    private Task OpenAsync(string path, string real) => Task.Factory.StartNew(
        () =>
        {
            var node = TryOpen(path, real);
            lock (gate)
            {
                opening.Remove(real);
                if (stopping)
                {
                    // So late that nobody waits for it any more.
                    node?.File.Dispose();
                    return;
                }

                if (node is not null)
                    nodes.Add(real, node);
            }

            Native.Raise(wake);
        },
        CancellationToken.None, TaskCreationOptions.LongRunning | TaskCreationOptions.RunContinuationsAsynchronously, TaskScheduler.Default);

    private static async Task ForAWhileAsync(Task open)
    {
        await Task.WhenAny(open, Task.Delay(Patience)).ConfigureAwait(false);
        if (open.IsCompleted)
            await open.ConfigureAwait(false);
    }

    private string? Real(string path) => SysfsPath.Real(Path.Combine(paths.Sysfs, "class/input", Path.GetFileName(path)));

    private IEnumerable<string> EventNodes()
    {
        try
        {
            return [.. Directory.GetFileSystemEntries(paths.InputNodes).Where(path => SysfsPath.IsEventNode(Path.GetFileName(path)))];
        }
        catch (IOException)
        {
            // No input device at all: the directory comes with the first.
            return [];
        }
    }

    private Node? TryOpen(string path, string real)
    {
        if (!HasKeys(Path.Combine(real, "device")) || openNode(path) is not { } file)
            return null;
        foreach (var type in Unwanted)
        {
            if (!Native.Mute(file, type))
                break;
        }

        return new(real, SysfsPath.UsbDevice(real) ?? Path.GetFileName(path), file);
    }

    /// <summary>Bit 1 (EV_KEY) of the device's event types, a bitmap in hexadecimal.</summary>
    private static bool HasKeys(string device) =>
        ulong.TryParse(
            SysfsText.Read(device, "capabilities/ev").Split(' ')[^1], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var types)
        && (types & (1 << Keys)) != 0;

    private void Read(Node node)
    {
        Span<byte> events = stackalloc byte[InputEvent.Size * 64];
        while (true)
        {
            var count = Native.TryRead(node.File, events);
            for (var start = 0; start + InputEvent.Size <= count; start += InputEvent.Size)
            {
                if (InputEvent.Parse(events.Slice(start, InputEvent.Size), node.Real, node.Device) is { } key)
                    sink(key);
            }

            if (count is -1)
                return;
            if (count <= 0)
            {
                Close(node);
                return;
            }
        }
    }

    private void Close(Node node)
    {
        lock (gate)
            nodes.Remove(node.Real);
        node.File.Dispose();
        sink(new(node.Real, node.Device, 0, KeyMove.Lost));
    }

    /// <param name="Real">Its directory in sysfs: unlike the node's name it never passes to another device.</param>
    /// <param name="Device">The USB device that it belongs to, or the node's name.</param>
    /// <param name="File">Open for reading.</param>
    private sealed record Node(string Real, string Device, SafeFileHandle File);
}

/// <summary>linux/input.h: struct input_event with 64-bit times.</summary>
internal static class InputEvent
{
    public const int Size = 24;

    private const ushort Synchronize = 0;
    private const ushort Key = 1;
    private const ushort Dropped = 3;

    /// <summary>A key that went down or up, or lost events; null for all else, repeats included.</summary>
    public static KeyEvent? Parse(ReadOnlySpan<byte> bytes, string source, string device)
    {
        var type = BinaryPrimitives.ReadUInt16LittleEndian(bytes[16..]);
        var code = BinaryPrimitives.ReadUInt16LittleEndian(bytes[18..]);
        var value = BinaryPrimitives.ReadInt32LittleEndian(bytes[20..]);
        return (type, code, value) switch
        {
            (Key, _, 0) => new(source, device, code, KeyMove.Up),
            (Key, _, 1) => new(source, device, code, KeyMove.Down),
            (Synchronize, Dropped, _) => new(source, device, 0, KeyMove.Lost),
            _ => null,
        };
    }
}
