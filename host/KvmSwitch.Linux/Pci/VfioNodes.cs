using System.Runtime.InteropServices;
using KvmSwitch.Core;

namespace KvmSwitch.Linux;

/// <summary>
/// The nodes /dev/vfio/GROUP, by which QEMU takes what is bound to vfio-pci. Each is made anew, root's alone, whenever a group's first
/// function is bound (Documentation/driver-api/vfio.rst).
/// </summary>
internal sealed class VfioNodes(KernelPaths paths)
{
    private const string Subsystem = "vfio";
    private const int EBUSY = 16;

    public string PathOf(int group) => Path.Combine(paths.Dev, Subsystem, $"{group}");

    public bool Exists(int group) => File.Exists(PathOf(group));

    /// <summary>Whether some program has the group open: only one can (drivers/vfio/group.c).</summary>
    public bool IsInUse(int group)
    {
        using var node = Libc.Open(PathOf(group), Libc.O_RDWR | Libc.O_CLOEXEC, 0);
        return node.IsInvalid && Marshal.GetLastPInvokeError() == EBUSY;
    }

    /// <exception cref="SwitchException">Failed: we may not.</exception>
    public void Give(int group, uint user, uint userGroup)
    {
        if (Libc.ChangeOwner(PathOf(group), user, userGroup) == 0) return;
        var error = Marshal.GetLastPInvokeError();
        throw new SwitchException(Failure.Failed, error is Libc.EPERM or Libc.EACCES
            ? $"no permission to give {PathOf(group)} to QEMU's user {user}; run the daemon as root"
            : $"{PathOf(group)} can't be given to QEMU's user {user}: {Marshal.GetPInvokeErrorMessage(error)}");
    }
}
