using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;

namespace KvmSwitch.Linux.Input;

/// <summary>A virtual device of the real kernel (linux/uinput.h).</summary>
internal sealed class UinputClone : IVirtualInput
{
    private const int NameSize = 80;
    private const ushort BusVirtual = 6;
    private const uint OwnerMayReadAndWrite = 0x180; // 0600
    private static readonly nuint Create = 0x5501;
    private static readonly nuint Setup = Libc.Iow('U', 3, 92);
    private static readonly nuint AxisSetup = Libc.Iow('U', 4, 28);
    private static readonly nuint SetPhys = Libc.Iow('U', 108, 8);
    private readonly SafeFileHandle _file;

    private UinputClone(CloneSpec spec, SafeFileHandle file, string input, string eventName, string path)
    {
        Spec = spec;
        _file = file;
        Input = input;
        Event = eventName;
        Path = path;
    }

    public CloneSpec Spec { get; }

    public string Event { get; }

    public string Input { get; }

    public string Path { get; }

    public SafeHandle Handle => _file;

    /// <exception cref="IOException">The kernel has no uinput, or we may not use it.</exception>
    public static UinputClone Make(CloneSpec spec, KernelPaths paths)
    {
        var device = System.IO.Path.Combine(paths.Dev, "uinput");
        var file = Libc.Open(device, Libc.O_RDWR | Libc.O_NONBLOCK | Libc.O_CLOEXEC, 0);
        if (file.IsInvalid) throw Libc.Error($"{device} can't be opened; load the kernel's module uinput");
        try
        {
            Declare(file, spec.Capabilities);
            Register(file, spec);
            var input = SysName(file);
            var directory = System.IO.Path.Combine(paths.Sys, "devices/virtual/input", input);
            var node = Directory.EnumerateDirectories(directory, "event*").Select(System.IO.Path.GetFileName).First()!;
            return new(spec, file, input, node, System.IO.Path.Combine(paths.Dev, "input", node));
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    public bool Write(ReadOnlySpan<InputEvent> events) => Libc.WriteEvents(_file, events);

    public int Read(Span<InputEvent> events) => Math.Max(0, Libc.ReadEvents(_file, events));

    public void GiveTo(uint user, uint group)
    {
        // First closed to all others: udev opens input devices to a group.
        File.SetUnixFileMode(Path, (UnixFileMode)OwnerMayReadAndWrite);
        UnixAccounts.ChangeOwner(Path, user, group);
    }

    public void Dispose() => _file.Dispose();

    private static void Declare(SafeFileHandle file, InputCapabilities capabilities)
    {
        // EV_REP: the kernel repeats held keys of the clone by itself, so repeats of the physical device aren't relayed.
        Tell(file, Libc.Iow('U', 100, 4), EventType.Repeat);
        foreach (var (type, codes) in capabilities.Codes)
        {
            Tell(file, Libc.Iow('U', 100, 4), type);
            foreach (var code in codes) Tell(file, Libc.Iow('U', RequestFor(type), 4), code);
        }

        foreach (var property in capabilities.Properties) Tell(file, Libc.Iow('U', 110, 4), property);
        foreach (var (code, axis) in capabilities.Axes) DeclareAxis(file, code, axis);
    }

    private static int RequestFor(ushort type) => type switch
    {
        EventType.Key => 101,
        EventType.Relative => 102,
        EventType.Absolute => 103,
        EventType.Miscellaneous => 104,
        EventType.Led => 105,
        EventType.Switch => 109,
        _ => throw new ArgumentOutOfRangeException(nameof(type), type, "is not cloned"),
    };

    /// <summary>struct uinput_abs_setup: the code, two bytes of padding, struct input_absinfo.</summary>
    private static unsafe void DeclareAxis(SafeFileHandle file, ushort code, AbsoluteAxis axis)
    {
        var setup = stackalloc byte[28];
        *(uint*)setup = code;
        *(AbsoluteAxis*)(setup + 4) = axis;
        Check(Libc.Ioctl(file, AxisSetup, setup));
    }

    /// <summary>struct uinput_setup: bus, vendor, product and version, the name, and the number of force feedback effects.</summary>
    private static unsafe void Register(SafeFileHandle file, CloneSpec spec)
    {
        fixed (byte* phys = Encoding.UTF8.GetBytes(spec.Phys + "\0")) Check(Libc.Ioctl(file, SetPhys, phys));
        Span<byte> setup = stackalloc byte[92];
        setup.Clear();
        BitConverter.TryWriteBytes(setup, BusVirtual);
        // A name that is too long is cut; the last byte stays zero.
        Encoding.UTF8.TryGetBytes(spec.Name, setup.Slice(8, NameSize - 1), out _);
        fixed (byte* first = setup) Check(Libc.Ioctl(file, Setup, first));
        Check(Libc.Ioctl(file, Create, 0));
    }

    private static unsafe string SysName(SafeFileHandle file)
    {
        var name = stackalloc byte[64];
        Check(Libc.Ioctl(file, Libc.Ior('U', 44, 64), name));
        return Marshal.PtrToStringUTF8((nint)name)!;
    }

    private static void Tell(SafeFileHandle file, nuint request, int value) => Check(Libc.Ioctl(file, request, value));

    private static void Check(int result)
    {
        if (result < 0) throw Libc.Error("a virtual input device can't be made");
    }
}
