using System.Runtime.InteropServices;
using System.Runtime.Versioning;
using KvmSwitch.Agent.Windows.Tray;

namespace KvmSwitch.Agent.Windows.Session;

/// <summary>The agent's service, asked about and started through the service control manager (learn.microsoft.com/windows/win32/api/winsvc).</summary>
[SupportedOSPlatform("windows")]
internal static partial class WindowsServiceControl
{
    private const uint Connect = 0x0001, QueryStatus = 0x0004, Start = 0x0010;
    private const uint Stopped = 1;
    private const int NoSuchService = 1060, AlreadyRunning = 1056, AccessDenied = 5;

    /// <summary>How it does, for one whom it doesn't answer. What can't be told counts as on its way.</summary>
    public static ServiceHealth Health => With(QueryStatus, service =>
        QueryServiceStatus(service, out var status) != 0 && status.State == Stopped ? ServiceHealth.Stopped : ServiceHealth.Waiting,
        error => error == NoSuchService ? ServiceHealth.Missing : ServiceHealth.Waiting);

    /// <summary>Starts it. Any user may ask; whether they may do it is Windows' decision.</summary>
    /// <returns>Null when it starts or runs; else Windows' reason.</returns>
    public static ServiceStartRefusal? TryStart() => With(
        Start,
        service => StartService(service, 0, 0) != 0 ? null : Refusal(Marshal.GetLastPInvokeError()),
        Refusal);

    private static ServiceStartRefusal? Refusal(int error) =>
        error == AlreadyRunning ? null : new(error == AccessDenied, Marshal.GetPInvokeErrorMessage(error).TrimEnd('.', ' ', '\r', '\n'));

    private static T With<T>(uint access, Func<nint, T> use, Func<int, T> failed)
    {
        var services = OpenScManager(null, null, Connect);
        if (services == 0)
            return failed(Marshal.GetLastPInvokeError());
        try
        {
            var service = OpenService(services, ServiceText.Name, access);
            if (service == 0)
                return failed(Marshal.GetLastPInvokeError());
            try
            {
                return use(service);
            }
            finally
            {
                _ = CloseServiceHandle(service);
            }
        }
        finally
        {
            _ = CloseServiceHandle(services);
        }
    }

    [LibraryImport("advapi32", EntryPoint = "OpenSCManagerW", SetLastError = true, StringMarshalling = StringMarshalling.Utf16)]
    private static partial nint OpenScManager(string? machine, string? database, uint access);

    [LibraryImport("advapi32", EntryPoint = "OpenServiceW", SetLastError = true, StringMarshalling = StringMarshalling.Utf16)]
    private static partial nint OpenService(nint services, string name, uint access);

    [LibraryImport("advapi32", SetLastError = true)]
    private static partial int QueryServiceStatus(nint service, out Status status);

    [LibraryImport("advapi32", EntryPoint = "StartServiceW", SetLastError = true)]
    private static partial int StartService(nint service, uint count, nint arguments);

    [LibraryImport("advapi32")]
    private static partial int CloseServiceHandle(nint handle);

    /// <summary>SERVICE_STATUS.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct Status
    {
        public uint Type;
        public uint State;
        public uint Accepts;
        public uint ExitCode;
        public uint SpecificExitCode;
        public uint CheckPoint;
        public uint WaitHint;
    }
}

/// <summary>Why the service was not started.</summary>
internal sealed record ServiceStartRefusal(bool NotAllowed, string Reason);
