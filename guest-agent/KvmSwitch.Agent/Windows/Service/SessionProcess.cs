using System.ComponentModel;
using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Runtime.Versioning;

namespace KvmSwitch.Agent.Windows.Service;

/// <summary>Starts this program as the service's own account in another session (CreateProcessAsUserW, learn.microsoft.com/windows/win32/api/processthreadsapi).</summary>
[SupportedOSPlatform("windows")]
internal static unsafe partial class SessionProcess
{
    private const uint NoSession = 0xffff_ffff;
    private const uint MaximumAllowed = 0x0200_0000;
    private const uint NoWindow = 0x0800_0000;
    private const int Impersonation = 2;
    private const int Primary = 1;
    private const int TokenSession = 12;

    /// <summary>The session at the screen; null where there is none just now.</summary>
    public static uint? ConsoleSession() => WTSGetActiveConsoleSessionId() is var session && session != NoSession ? session : null;

    /// <param name="session">Where it runs.</param>
    /// <param name="desktop">Of that session's window station.</param>
    /// <param name="arguments">Words without spaces and quotes.</param>
    /// <exception cref="IOException">Windows refuses.</exception>
    public static Process Start(uint session, string desktop, IReadOnlyList<string> arguments)
    {
        var token = TokenFor(session);
        try
        {
            var line = $"\"{Environment.ProcessPath}\" {string.Join(' ', arguments)}\0".ToCharArray();
            fixed (char* place = $"WinSta0\\{desktop}", words = line)
            {
                var startup = new Startup { Size = (uint)sizeof(Startup), Desktop = place };
                if (!CreateProcessAsUser(token, null, words, 0, 0, false, NoWindow, 0, null, &startup, out var started))
                    throw Refused("a program can't be started there");
                Native.CloseHandle(started.Thread);
                // The handle keeps the number from being used again until it is opened.
                var process = Process.GetProcessById((int)started.ProcessId);
                _ = process.SafeHandle;
                Native.CloseHandle(started.Process);
                return process;
            }
        }
        finally
        {
            Native.CloseHandle(token);
        }
    }

    private static nint TokenFor(uint session)
    {
        if (!Native.OpenProcessToken(Native.GetCurrentProcess(), MaximumAllowed, out var own))
            throw Refused("the service can't use its own rights");
        try
        {
            if (!DuplicateTokenEx(own, MaximumAllowed, 0, Impersonation, Primary, out var token))
                throw Refused("the service can't use its own rights");
            if (SetTokenInformation(token, TokenSession, &session, sizeof(uint)))
                return token;
            var refused = Refused("the service may not enter the session");
            Native.CloseHandle(token);
            throw refused;
        }
        finally
        {
            Native.CloseHandle(own);
        }
    }

    private static IOException Refused(string what)
    {
        var error = new Win32Exception(Marshal.GetLastPInvokeError());
        return new($"{what} ({error.Message.TrimEnd('.')})", error);
    }

    /// <summary>STARTUPINFOW.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct Startup
    {
        public uint Size;
        public nint Reserved;
        public char* Desktop;
        public nint Title;
        public fixed uint Geometry[8];
        public ushort ShowWindow;
        public ushort ReservedSize;
        public nint ReservedBytes;
        public nint Input;
        public nint Output;
        public nint Error;
    }

    /// <summary>PROCESS_INFORMATION.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct Started
    {
        public nint Process;
        public nint Thread;
        public uint ProcessId;
        public uint ThreadId;
    }

    [LibraryImport("kernel32")]
    private static partial uint WTSGetActiveConsoleSessionId();

    [LibraryImport("advapi32", SetLastError = true)]
    [return: MarshalAs(UnmanagedType.Bool)]
    private static partial bool DuplicateTokenEx(nint token, uint access, nint attributes, int level, int kind, out nint duplicate);

    [LibraryImport("advapi32", SetLastError = true)]
    [return: MarshalAs(UnmanagedType.Bool)]
    private static partial bool SetTokenInformation(nint token, int kind, void* information, uint size);

    [LibraryImport("advapi32", EntryPoint = "CreateProcessAsUserW", SetLastError = true, StringMarshalling = StringMarshalling.Utf16)]
    [return: MarshalAs(UnmanagedType.Bool)]
    private static partial bool CreateProcessAsUser(
        nint token, string? program, char* commandLine, nint processAttributes, nint threadAttributes, [MarshalAs(UnmanagedType.Bool)] bool inherit,
        uint flags, nint environment, string? directory, Startup* startup, out Started started);
}
