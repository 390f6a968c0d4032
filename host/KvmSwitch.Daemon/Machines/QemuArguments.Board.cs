using System.Globalization;
using KvmSwitch.Daemon.Configuration;

namespace KvmSwitch.Daemon.Machines;

public static partial class QemuArguments
{
    private static IEnumerable<string> Board(Input input) =>
    [
        // A core dump of QEMU without the guest's memory, and no VMware mouse, which would fight with the switched one.
        "-machine", "q35,usb=off,vmport=off,dump-guest-core=off",
        "-accel", input.Machine.Accelerator == Accelerator.Kvm ? "kvm" : "tcg,thread=multi",
        "-m", $"size={input.Machine.MemoryMiB.ToString(CultureInfo.InvariantCulture)}M",
        "-rtc", input.Machine.Clock == RealTimeClock.Utc ? "base=utc" : "base=localtime",
        // A guest that panicked still runs in QEMU's eyes, so that its devices can be taken home.
        "-action", "panic=none",
    ];

    private static IEnumerable<string> Processor(Input input) =>
    [
        "-cpu", input.Machine.Accelerator == Accelerator.Kvm ? "host" : "max",
        // One socket: Windows for desktops uses no more than two.
        "-smp", $"cpus={input.Machine.Cpus},sockets=1,cores={input.Machine.Cpus},threads=1",
    ];

    private static IEnumerable<string> Firmware(Input input)
    {
        if (input.Files is not { } files) return [];
        var format = Word(files.Format);
        return
        [
            "-drive", Options("if=pflash", ("unit", "0"), ("format", format), ("readonly", "on"), ("file", files.Code)),
            "-drive", Options("if=pflash", ("unit", "1"), ("format", format), ("file", input.Paths.FirmwareVariables)),
        ];
    }

    private static IEnumerable<string> Kernel(Input input)
    {
        if (input.Machine.Kernel is not { } direct) yield break;
        yield return "-kernel";
        yield return direct.Kernel;
        if (direct.Initrd is { } initrd)
        {
            yield return "-initrd";
            // No escaping: for a Linux kernel QEMU takes this as it is.
            yield return initrd;
        }

        if (direct.CommandLine.Length == 0) yield break;
        yield return "-append";
        yield return direct.CommandLine;
    }

    private static string Word(DiskFormat format) => format == DiskFormat.Qcow2 ? "qcow2" : "raw";
}
