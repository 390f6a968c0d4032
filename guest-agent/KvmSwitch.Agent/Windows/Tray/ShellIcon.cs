using System.Runtime.InteropServices;
using System.Runtime.Versioning;

namespace KvmSwitch.Agent.Windows.Tray;

/// <summary>One icon in the taskbar's notification area (learn.microsoft.com/windows/win32/api/shellapi, Shell_NotifyIconW, version 4).</summary>
[SupportedOSPlatform("windows")]
internal sealed unsafe partial class ShellIcon(nint window, uint callback)
{
    private const uint Add = 0, Modify = 1, Delete = 2, SetVersion = 4;
    private const uint HasMessage = 1, HasIcon = 2, HasTip = 4, HasInfo = 0x10, ShowTip = 0x80;
    private const uint Information = 1, Warning = 2;
    private const uint Version4 = 4;
    private const uint Id = 1;

    /// <summary>The taskbar has it. Not so for a user without a taskbar, and until Explorer has started.</summary>
    public bool IsShown { get; private set; }

    /// <summary>Shows the icon and its tip; adds it when the taskbar hasn't got it.</summary>
    /// <param name="icon">An HICON; the taskbar makes a copy.</param>
    /// <param name="tip">At most 127 characters are shown.</param>
    public void Show(nint icon, string tip)
    {
        var data = Data();
        data.Flags = HasMessage | HasIcon | HasTip | ShowTip;
        data.Callback = callback;
        data.Icon = icon;
        Copy(tip, data.Tip, 128);
        // A new taskbar knows of no icon, so changing it fails there.
        if (ShellNotifyIcon(Modify, ref data) != 0)
        {
            IsShown = true;
            return;
        }

        IsShown = ShellNotifyIcon(Add, ref data) != 0;
        data.Version = Version4;
        if (IsShown)
            ShellNotifyIcon(SetVersion, ref data);
    }

    public void Tell(Balloon balloon)
    {
        var data = Data();
        data.Flags = HasInfo;
        data.InfoFlags = balloon.IsTrouble ? Warning : Information;
        Copy(balloon.Title, data.InfoTitle, 64);
        Copy(balloon.Text, data.Info, 256);
        if (IsShown)
            ShellNotifyIcon(Modify, ref data);
    }

    public void Remove()
    {
        var data = Data();
        if (IsShown)
            ShellNotifyIcon(Delete, ref data);
        IsShown = false;
    }

    private NotifyIconData Data() => new() { Size = sizeof(NotifyIconData), Window = window, Id = Id };

    // Cut off where the structure ends, never within a surrogate pair.
    private static void Copy(string text, char* into, int room)
    {
        var length = Math.Min(text.Length, room - 1);
        if (length < text.Length && char.IsHighSurrogate(text[length - 1]))
            length--;
        text.AsSpan(0, length).CopyTo(new(into, room));
        into[length] = '\0';
    }

    [LibraryImport("shell32", EntryPoint = "Shell_NotifyIconW")]
    private static partial int ShellNotifyIcon(uint message, ref NotifyIconData data);

    /// <summary>NOTIFYICONDATAW.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct NotifyIconData
    {
        public int Size;
        public nint Window;
        public uint Id;
        public uint Flags;
        public uint Callback;
        public nint Icon;
        public fixed char Tip[128];
        public uint State;
        public uint StateMask;
        public fixed char Info[256];
        public uint Version;
        public fixed char InfoTitle[64];
        public uint InfoFlags;
        public Guid Item;
        public nint BalloonIcon;
    }
}
