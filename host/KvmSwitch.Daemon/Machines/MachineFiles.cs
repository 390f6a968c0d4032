using KvmSwitch.Core;
using KvmSwitch.Daemon.Configuration;
using KvmSwitch.Linux;

namespace KvmSwitch.Daemon.Machines;

/// <summary>Who QEMU runs as: never root.</summary>
internal static class QemuUser
{
    /// <returns>Null when the daemon itself has no privileges to shed.</returns>
    /// <exception cref="SwitchException">The daemon is root, and the configured user isn't there or is root as well.</exception>
    public static UnixUser? For(DaemonOptions options)
    {
        if (!Environment.IsPrivilegedProcess) return null;
        var user = UnixUser.Find(options.QemuUser) ?? throw new SwitchException(
            Failure.Failed,
            $"there is no user '{options.QemuUser}' to run QEMU as; create it ('useradd --system --groups kvm {options.QemuUser}') or name another: qemu_user in the section [daemon]");
        return user.Uid != 0 ? user : throw new SwitchException(
            Failure.Failed, "QEMU is never run as root; name another user: qemu_user in the section [daemon]");
    }
}

/// <summary>The directories and files that QEMU needs before it starts.</summary>
internal static class MachineFiles
{
    private const UnixFileMode Directories = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;

    /// <exception cref="SwitchException">They can't be made.</exception>
    public static void Prepare(ManagedMachine options, MachinePaths paths, UnixUser? user)
    {
        try
        {
            foreach (var directory in new[] { paths.RuntimeDirectory, paths.StateDirectory })
            {
                Directory.CreateDirectory(directory, Directories);
                user?.Own(directory);
            }

            // A socket that a dead QEMU left would answer nobody, and QEMU's log begins anew with each start.
            File.Delete(paths.QmpSocket);
            File.Delete(paths.QemuLog);
            CopyFirmwareVariables(options, paths, user);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw new SwitchException(Failure.Failed, $"the files of {options.Id} can't be prepared: {failure.Message}", failure);
        }
    }

    private static void CopyFirmwareVariables(ManagedMachine options, MachinePaths paths, UnixUser? user)
    {
        if (FirmwareFiles.Find(options.Firmware, File.Exists) is not { } firmware || File.Exists(paths.FirmwareVariables)) return;
        var temporary = paths.FirmwareVariables + ".new";
        File.Copy(firmware.Variables, temporary, overwrite: true);
        user?.Own(temporary);
        File.Move(temporary, paths.FirmwareVariables);
    }
}
