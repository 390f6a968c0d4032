using System.ComponentModel;
using System.Runtime.InteropServices;
using System.Runtime.Versioning;

namespace KvmSwitch.Agent.Windows;

/// <summary>Shuts Windows down by InitiateSystemShutdownExW (learn.microsoft.com/windows/win32/api/winreg). Programs with unsaved work may still object: nothing is forced.</summary>
[SupportedOSPlatform("windows")]
internal sealed class WindowsPower : IPower
{
    private const string ShutdownPrivilege = "SeShutdownPrivilege";

    // SHTDN_REASON_MAJOR_OTHER | MINOR_OTHER | FLAG_PLANNED.
    private const uint Planned = 0x8000_0000;
    private const int NotAllAssigned = 1300;
    private const int AlreadyUnderWay = 1115;

    public string ShutDown()
    {
        Enable(ShutdownPrivilege);
        if (!Native.InitiateSystemShutdownEx(null, "KvmSwitch: the host asked this machine to shut down.", 0, force: false, reboot: false, Planned)
            && Marshal.GetLastPInvokeError() != AlreadyUnderWay)
            throw Failure("Windows refuses to shut down");
        return "InitiateSystemShutdownEx";
    }

    private static void Enable(string privilege)
    {
        if (!Native.OpenProcessToken(Native.GetCurrentProcess(), Native.TokenAdjustPrivileges | Native.TokenQuery, out var token))
            throw Failure("The privilege to shut down can't be asked for");
        try
        {
            if (!Native.LookupPrivilegeValue(null, privilege, out var luid))
                throw Failure("The privilege to shut down is not known here");
            var wanted = new Native.OnePrivilege { Count = 1, Luid = luid, Attributes = Native.PrivilegeEnabled };
            if (!Native.AdjustTokenPrivileges(token, disableAll: false, in wanted, 0, 0, 0) || Marshal.GetLastPInvokeError() == NotAllAssigned)
                throw Failure("The agent may not shut Windows down");
        }
        finally
        {
            Native.CloseHandle(token);
        }
    }

    private static IOException Failure(string what)
    {
        var error = new Win32Exception(Marshal.GetLastPInvokeError());
        return new($"{what} ({error.Message.TrimEnd('.')}).", error);
    }
}
