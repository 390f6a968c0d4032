using System.Runtime.InteropServices;
using KvmSwitch.Core;

namespace KvmSwitch.Linux;

/// <summary>Limits of other processes.</summary>
public interface IProcessLimits
{
    /// <summary>Lets a process lock at least so much memory; never narrows what it has. Needs CAP_SYS_RESOURCE beyond its hard limit.</summary>
    /// <exception cref="SwitchException">Failed: it has ended, or we may not.</exception>
    void AllowLockedMemory(int processId, long bytes);
}

/// <summary>By prlimit(2).</summary>
public sealed class ProcessLimits : IProcessLimits
{
    public void AllowLockedMemory(int processId, long bytes)
    {
        if (Libc.GetLimit(processId, Libc.RLIMIT_MEMLOCK, 0, out var now) != 0) throw Failed(processId, bytes);
        if (now.Soft >= (ulong)bytes) return;
        var wider = new Libc.ResourceLimit { Soft = (ulong)bytes, Hard = Math.Max(now.Hard, (ulong)bytes) };
        if (Libc.SetLimit(processId, Libc.RLIMIT_MEMLOCK, wider, 0) != 0) throw Failed(processId, bytes);
    }

    private static SwitchException Failed(int processId, long bytes)
    {
        var error = Marshal.GetLastPInvokeError();
        return new(Failure.Failed, error switch
        {
            Libc.ESRCH => $"QEMU (process {processId}) has ended",
            Libc.EPERM => $"QEMU (process {processId}) may not lock the {bytes >> 20} MiB that it needs; run the daemon as root, or give QEMU a wider memlock limit",
            _ => $"the limit of QEMU (process {processId}) can't be raised: {Marshal.GetPInvokeErrorMessage(error)}",
        });
    }
}
