using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace KvmSwitch.Linux;

/// <summary>A descriptor that stands for one process for ever, unlike its number, which is used again (pidfd_open(2)).</summary>
internal sealed class PidFd : SafeHandleZeroOrMinusOneIsInvalid
{
    public PidFd()
        : base(ownsHandle: true)
    {
    }

    /// <summary>Null when there is no such process.</summary>
    /// <exception cref="IOException">The kernel refuses: older than 5.3, or out of descriptors.</exception>
    public static PidFd? Open(int pid)
    {
        if (pid <= 0) return null;
        var descriptor = Libc.PidFdOpen(Libc.SYS_pidfd_open, pid, 0);
        if (descriptor < 0 && Marshal.GetLastPInvokeError() == Libc.ESRCH) return null;
        if (descriptor < 0) throw Libc.Error($"process {pid} can't be watched");
        var result = new PidFd();
        result.SetHandle(descriptor);
        return result;
    }

    /// <summary>False when the process is gone.</summary>
    /// <exception cref="IOException">The process belongs to someone else.</exception>
    public bool Signal(int signal)
    {
        if (Libc.PidFdSendSignal(Libc.SYS_pidfd_send_signal, this, signal, 0, 0) == 0) return true;
        return Marshal.GetLastPInvokeError() == Libc.ESRCH ? false : throw Libc.Error($"signal {signal} can't be sent");
    }

    /// <summary>Not reaped yet; whoever it belongs to.</summary>
    public bool Exists =>
        Libc.PidFdSendSignal(Libc.SYS_pidfd_send_signal, this, 0, 0, 0) == 0 || Marshal.GetLastPInvokeError() != Libc.ESRCH;

    /// <summary>Takes the status of a child that has ended: its exit code, or 128 and the signal's number. Null when it is no child of ours.</summary>
    public unsafe int? Reap()
    {
        var information = stackalloc byte[Libc.SignalInfoSize];
        int result;
        do
        {
            result = Libc.WaitId(Libc.P_PIDFD, this, information, Libc.WEXITED);
        }
        while (result != 0 && Marshal.GetLastPInvokeError() == Libc.EINTR);

        if (result != 0) return Marshal.GetLastPInvokeError() == Libc.ECHILD ? null : throw Libc.Error("a child's exit status can't be read");
        var status = *(int*)(information + 24);
        return *(int*)(information + 8) == Libc.CLD_EXITED ? status : 128 + status;
    }

    protected override bool ReleaseHandle() => Libc.Close(handle) == 0;
}
