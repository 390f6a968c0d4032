using KvmSwitch.Core;

namespace KvmSwitch.Linux;

/// <summary>Finds a drive by its name below /dev/disk/by-id, which udev makes of model and serial number: the N of srN shifts.</summary>
internal static class DiscLinks
{
    private const string ById = "disk/by-id";

    /// <summary>The kernel's name of the drive, as <c>sr0</c>; null when it isn't there.</summary>
    /// <param name="link">The name below /dev/disk/by-id, or the whole path.</param>
    /// <exception cref="SwitchException">Usage: that names no link, or one to something else than an optical drive.</exception>
    public static string? Resolve(KernelPaths paths, DeviceId device, string link)
    {
        var name = link.StartsWith($"/dev/{ById}/", StringComparison.Ordinal) ? link[$"/dev/{ById}/".Length..] : link;
        if (name is "" or "." or ".." || name.AsSpan().ContainsAny('/', '\0'))
        {
            throw new SwitchException(Failure.Usage, $"{device}: '{SysfsText.Clean(link)}' names no drive: write a name that is in /dev/{ById}");
        }

        var target = SysfsText.LinkName(Path.Combine(paths.Dev, ById), name);
        if (target is null || !Directory.Exists(Path.Combine(paths.Sys, "class/block", target))) return null;
        return target.StartsWith("sr", StringComparison.Ordinal) && target.Length > 2 && target.AsSpan(2).IndexOfAnyExceptInRange('0', '9') < 0
            ? target
            : throw new SwitchException(Failure.Usage, $"{device}: {SysfsText.Clean(name)} is {target}, which is no optical drive");
    }
}
