using System.IO.Pipes;
using System.Runtime.InteropServices;
using System.Runtime.Versioning;
using Microsoft.Win32.SafeHandles;

namespace KvmSwitch.Agent.Windows.Pipe;

/// <summary>Calls of kernel32 on named pipes (learn.microsoft.com/windows/win32/api/winbase).</summary>
[SupportedOSPlatform("windows")]
internal static partial class PipeNative
{
    /// <summary>The session of the process at the other end; 0 where the system doesn't tell.</summary>
    public static uint SessionOf(NamedPipeServerStream pipe) => GetNamedPipeClientSessionId(pipe.SafePipeHandle, out var session) ? session : 0;

    [LibraryImport("kernel32", SetLastError = true)]
    [return: MarshalAs(UnmanagedType.Bool)]
    private static partial bool GetNamedPipeClientSessionId(SafePipeHandle pipe, out uint session);
}
