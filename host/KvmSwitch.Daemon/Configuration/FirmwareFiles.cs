using System.Collections.Immutable;
using KvmSwitch.Core;

namespace KvmSwitch.Daemon.Configuration;

/// <summary>The two files that a UEFI machine starts from.</summary>
/// <param name="Code">The firmware itself; shared, read-only.</param>
/// <param name="Variables">The empty variable store; each machine writes to a copy of its own.</param>
public sealed record FirmwareFiles(string Code, string Variables)
{
    // Where distributions keep OVMF, the 4 MB build before the older 2 MB one.
    private static readonly ImmutableArray<FirmwareFiles> Known =
    [
        // Debian, Ubuntu
        new("/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"),
        new("/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd"),
        // Fedora
        new("/usr/share/edk2/ovmf/OVMF_CODE_4M.qcow2", "/usr/share/edk2/ovmf/OVMF_VARS_4M.qcow2"),
        new("/usr/share/edk2/ovmf/OVMF_CODE.fd", "/usr/share/edk2/ovmf/OVMF_VARS.fd"),
        // Arch
        new("/usr/share/edk2/x64/OVMF_CODE.4m.fd", "/usr/share/edk2/x64/OVMF_VARS.4m.fd"),
        new("/usr/share/edk2-ovmf/x64/OVMF_CODE.fd", "/usr/share/edk2-ovmf/x64/OVMF_VARS.fd"),
        // openSUSE
        new("/usr/share/qemu/ovmf-x86_64-4m-code.bin", "/usr/share/qemu/ovmf-x86_64-4m-vars.bin"),
    ];

    /// <summary>The format of both files, by their name.</summary>
    public DiskFormat Format => Code.EndsWith(".qcow2", StringComparison.Ordinal) ? DiskFormat.Qcow2 : DiskFormat.Raw;

    /// <summary>The files that the options mean; null for BIOS, which QEMU brings itself.</summary>
    /// <param name="exists">Whether a file can be read, as <see cref="File.Exists"/>.</param>
    /// <exception cref="SwitchException">They aren't there.</exception>
    public static FirmwareFiles? Find(FirmwareOptions options, Func<string, bool> exists)
    {
        if (options is not FirmwareOptions.Uefi uefi) return null;
        if (uefi is { Code: { } code, Variables: { } variables })
        {
            foreach (var file in new[] { code, variables })
                if (!exists(file)) throw Missing($"The UEFI firmware {file} is not there; correct firmware_code and firmware_vars in the configuration.");
            return new(code, variables);
        }

        return Known.FirstOrDefault(pair => exists(pair.Code) && exists(pair.Variables)) ?? throw Missing(
            "No UEFI firmware was found; install the package ovmf (edk2-ovmf on Fedora and Arch), or set firmware_code and firmware_vars.");
    }

    private static SwitchException Missing(string message) => new(Failure.Failed, message);
}
