using System.ComponentModel;
using System.Runtime.InteropServices;
using System.Runtime.Versioning;

namespace KvmSwitch.Agent.Windows.Service;

/// <summary>
/// What the service control manager shall do with this service, set by the service itself since not every installer can: start delayed, and
/// start again after a failure (ChangeServiceConfig2W, learn.microsoft.com/windows/win32/api/winsvc).
/// </summary>
[SupportedOSPlatform("windows")]
internal static unsafe partial class ServiceConfiguration
{
    public const string ServiceName = "KvmSwitchAgent";

    private const uint Connect = 1;
    private const uint ChangeConfiguration = 2;
    private const uint Start = 0x10;
    private const uint FailureActions = 2;
    private const uint DelayedStart = 3;
    private const uint FailureActionsFlag = 4;
    private const int Restart = 1;

    // After a day without a failure the first pause is the one that counts again.
    private const uint ForgetAfterSeconds = 24 * 60 * 60;
    private static readonly uint[] PausesMilliseconds = [1_000, 5_000, 30_000];

    /// <summary>Sets it, the same each time. What can't be set is told to the journal: the service works without.</summary>
    public static void Ensure(IJournal journal)
    {
        var manager = OpenSCManager(null, null, Connect);
        var service = manager == 0 ? 0 : OpenService(manager, ServiceName, ChangeConfiguration | Start);
        try
        {
            if (service == 0 || !Set(service))
                journal.Write($"The service's restart and delayed start can't be set: {new Win32Exception(Marshal.GetLastPInvokeError()).Message}");
        }
        finally
        {
            if (service != 0)
                CloseServiceHandle(service);
            if (manager != 0)
                CloseServiceHandle(manager);
        }
    }

    private static bool Set(nint service)
    {
        var actions = stackalloc Action[PausesMilliseconds.Length];
        for (var index = 0; index < PausesMilliseconds.Length; index++)
            actions[index] = new() { Kind = Restart, Pause = PausesMilliseconds[index] };
        var failure = new Failure { ResetSeconds = ForgetAfterSeconds, Count = (uint)PausesMilliseconds.Length, Actions = actions };
        // Also for an end with an error code, not for a crash alone.
        var yes = 1;
        return ChangeServiceConfig2(service, FailureActions, &failure)
            && ChangeServiceConfig2(service, FailureActionsFlag, &yes)
            && ChangeServiceConfig2(service, DelayedStart, &yes);
    }

    /// <summary>SC_ACTION.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct Action
    {
        public int Kind;
        public uint Pause;
    }

    /// <summary>SERVICE_FAILURE_ACTIONSW.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct Failure
    {
        public uint ResetSeconds;
        public nint RebootMessage;
        public nint Command;
        public uint Count;
        public Action* Actions;
    }

    [LibraryImport("advapi32", EntryPoint = "OpenSCManagerW", SetLastError = true, StringMarshalling = StringMarshalling.Utf16)]
    private static partial nint OpenSCManager(string? machine, string? database, uint access);

    [LibraryImport("advapi32", EntryPoint = "OpenServiceW", SetLastError = true, StringMarshalling = StringMarshalling.Utf16)]
    private static partial nint OpenService(nint manager, string name, uint access);

    [LibraryImport("advapi32", EntryPoint = "ChangeServiceConfig2W", SetLastError = true)]
    [return: MarshalAs(UnmanagedType.Bool)]
    private static partial bool ChangeServiceConfig2(nint service, uint level, void* information);

    [LibraryImport("advapi32")]
    [return: MarshalAs(UnmanagedType.Bool)]
    private static partial bool CloseServiceHandle(nint handle);
}
