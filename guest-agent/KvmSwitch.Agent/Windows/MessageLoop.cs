using System.Runtime.InteropServices;
using System.Runtime.Versioning;

namespace KvmSwitch.Agent.Windows;

/// <summary>What every thread with a message queue calls (learn.microsoft.com/windows/win32/api/winuser).</summary>
[SupportedOSPlatform("windows")]
internal static partial class MessageLoop
{
    /// <summary>MSG.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct Message
    {
        public nint Window;
        public uint Kind;
        public nint WParam;
        public nint LParam;
        public uint Time;
        public int X;
        public int Y;
    }

    /// <returns>0 for WM_QUIT, -1 for an error.</returns>
    [LibraryImport("user32", EntryPoint = "GetMessageW", SetLastError = true)]
    public static partial int GetMessage(out Message message, nint window, uint first, uint last);

    [LibraryImport("user32", EntryPoint = "DispatchMessageW")]
    public static partial nint DispatchMessage(in Message message);
}
