using System.Collections.Immutable;
using System.Diagnostics;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace KvmSwitch.Linux.Input;

/// <summary>An open event node of the real kernel (linux/input.h).</summary>
internal sealed class EvdevNode : IEvdevNode
{
    private const int AxisCount = 0x40;
    private static readonly nuint GetKeys = Libc.Ior('E', 0x18, KeySet.Capacity / 8);
    private static readonly nuint GetLeds = Libc.Ior('E', 0x19, sizeof(uint));
    private static readonly nuint SetGrab = Libc.Iow('E', 0x90, sizeof(int));
    private static readonly nuint SetClock = Libc.Iow('E', 0xa0, sizeof(int));
    private static readonly nuint SetMask = Libc.Iow('E', 0x93, 16);
    private readonly SafeFileHandle _file;

    // The kernel forgets events of the descriptor that asks for keys: this one gets none.
    private readonly SafeFileHandle _questions;

    private EvdevNode(InputNode node, SafeFileHandle file, SafeFileHandle questions)
    {
        Node = node;
        _file = file;
        _questions = questions;
        Capabilities = Ask(file);
        Mute(questions, EventType.Synchronization);
    }

    public InputNode Node { get; }

    public InputCapabilities Capabilities { get; }

    public SafeHandle Handle => _file;

    // CLOCK_MONOTONIC both.
    public long Microtime => Stopwatch.GetTimestamp() / (Stopwatch.Frequency / 1_000_000);

    /// <summary>Null when it has gone.</summary>
    /// <exception cref="IOException">It is there and can't be opened, or is no event node.</exception>
    public static unsafe EvdevNode? Open(InputNode node, string path)
    {
        const int Flags = Libc.O_NONBLOCK | Libc.O_CLOEXEC;
        var file = Libc.Open(path, Libc.O_RDWR | Flags, 0);
        var clock = Libc.CLOCK_MONOTONIC;
        var questions = file.IsInvalid || Libc.Ioctl(file, SetClock, &clock) != 0 ? null : Libc.Open(path, Libc.O_RDONLY | Flags, 0);
        if (questions is { IsInvalid: false }) return new(node, file, questions);
        var error = Marshal.GetLastPInvokeError();
        file.Dispose();
        questions?.Dispose();
        return error is Libc.ENOENT or Libc.ENODEV or Libc.ENXIO ? null : throw Libc.Error($"{node} can't be listened to: {path}", error);
    }

    public int Read(Span<InputEvent> events) => Libc.ReadEvents(_file, events);

    public bool Inject(ReadOnlySpan<InputEvent> events) => Libc.WriteEvents(_file, events);

    public GrabOutcome Grab() => Libc.Ioctl(_file, SetGrab, 1) == 0 ? GrabOutcome.Granted
        : Marshal.GetLastPInvokeError() == Libc.EBUSY ? GrabOutcome.Busy
        : GrabOutcome.Gone;

    // EINVAL: not grabbed; ENODEV: unplugged. In both cases nothing is left to let go of.
    public void Ungrab() => _ = Libc.Ioctl(_file, SetGrab, 0);

    public bool ReadKeys(KeySet keys) => AskKeys(_file, keys);

    public bool PeekKeys(KeySet keys) => AskKeys(_questions, keys);

    public unsafe uint ReadLeds()
    {
        uint leds = 0;
        return Libc.Ioctl(_file, GetLeds, &leds) >= 0 ? leds : 0;
    }

    public bool TryReadAxis(ushort code, out int value)
    {
        var found = TryAskAxis(_file, code, out var axis);
        value = axis.Value;
        return found;
    }

    public void KeysOnly()
    {
        foreach (var type in (ReadOnlySpan<ushort>)[EventType.Relative, EventType.Absolute, EventType.Miscellaneous, EventType.Switch]) Mute(_file, type);
    }

    public void Dispose()
    {
        _file.Dispose();
        _questions.Dispose();
    }

    // Events of this type are no longer sent; of the type synchronization: events of no type (EVIOCSMASK). Kernels before 4.4 have no masks:
    // then we are sent what we don't need.
    private static unsafe void Mute(SafeFileHandle file, ushort type)
    {
        // struct input_mask: type and size of the bitmap, and where it is.
        var nothing = 0ul;
        var mask = stackalloc ulong[2];
        mask[0] = type | ((ulong)sizeof(ulong) << 32);
        mask[1] = (ulong)&nothing;
        _ = Libc.Ioctl(file, SetMask, mask);
    }

    private static unsafe bool AskKeys(SafeFileHandle file, KeySet keys)
    {
        fixed (byte* bits = keys.Bytes) return Libc.Ioctl(file, GetKeys, bits) >= 0;
    }

    private static InputCapabilities Ask(SafeFileHandle file)
    {
        var types = Bits(file, Libc.Ior('E', 0x20, 4), 4);
        var codes = types.Where(type => type != EventType.Synchronization).ToImmutableSortedDictionary(
            type => type, type => Bits(file, Libc.Ior('E', 0x20 + type, KeySet.Capacity / 8), KeySet.Capacity / 8));
        var axes = ImmutableSortedDictionary.CreateBuilder<ushort, AbsoluteAxis>();
        foreach (var code in codes.GetValueOrDefault(EventType.Absolute, []).Where(code => code < AxisCount))
        {
            if (TryAskAxis(file, code, out var axis)) axes[code] = axis;
        }

        return new() { Codes = codes, Axes = axes.ToImmutable(), Properties = Bits(file, Libc.Ior('E', 0x09, 4), 4) };
    }

    private static unsafe bool TryAskAxis(SafeFileHandle file, ushort code, out AbsoluteAxis axis)
    {
        fixed (AbsoluteAxis* answer = &axis) return Libc.Ioctl(file, Libc.Ior('E', 0x40 + (code & (AxisCount - 1)), sizeof(AbsoluteAxis)), answer) >= 0;
    }

    private static unsafe ImmutableArray<ushort> Bits(SafeFileHandle file, nuint request, int size)
    {
        Span<byte> bits = stackalloc byte[size];
        bits.Clear();
        fixed (byte* first = bits)
        {
            if (Libc.Ioctl(file, request, first) < 0) return [];
        }

        var set = ImmutableArray.CreateBuilder<ushort>();
        for (var code = 0; code < size * 8; code++)
        {
            if ((bits[code >> 3] >> (code & 7) & 1) != 0) set.Add((ushort)code);
        }

        return set.DrainToImmutable();
    }
}
