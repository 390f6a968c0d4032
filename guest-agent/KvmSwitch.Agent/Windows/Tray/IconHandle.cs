using System.ComponentModel;
using System.Runtime.InteropServices;
using System.Runtime.Versioning;
using Microsoft.Win32;

namespace KvmSwitch.Agent.Windows.Tray;

/// <summary>An icon of Windows made from pixels (CreateDIBSection and CreateIconIndirect, learn.microsoft.com/windows/win32/api/wingdi).</summary>
[SupportedOSPlatform("windows")]
internal sealed unsafe partial class IconHandle : IDisposable
{
    private IconHandle(nint handle) => Handle = handle;

    public nint Handle { get; }

    /// <summary>The taskbar is light; dark where nothing tells, as on Windows 8.1 and 10's first versions.</summary>
    public static bool TaskbarIsLight => Registry.GetValue(
        @"HKEY_CURRENT_USER\Software\Microsoft\Windows\CurrentVersion\Themes\Personalize", "SystemUsesLightTheme", 0) is 1;

    /// <param name="pixels">0xAARRGGBB, row by row from the top.</param>
    /// <exception cref="Win32Exception">Windows has no room for it.</exception>
    public static IconHandle Create(uint[] pixels, int size)
    {
        var header = new BitmapHeader { Size = sizeof(BitmapHeader), Width = size, Height = -size, Planes = 1, Bits = 32 };
        var colour = CreateDibSection(0, in header, 0, out var bits, 0, 0);
        // With alpha in the colours the mask is ignored, but there has to be one.
        var mask = CreateBitmap(size, size, 1, 1, 0);
        try
        {
            if (colour == 0 || mask == 0)
                throw new Win32Exception("Windows has no room for the icon.");
            pixels.CopyTo(new Span<uint>((void*)bits, size * size));
            var info = new IconInfo { IsIcon = 1, Mask = mask, Colour = colour };
            var icon = CreateIconIndirect(in info);
            return icon != 0 ? new(icon) : throw new Win32Exception(Marshal.GetLastPInvokeError());
        }
        finally
        {
            _ = DeleteObject(colour);
            _ = DeleteObject(mask);
        }
    }

    public void Dispose() => _ = DestroyIcon(Handle);

    [LibraryImport("gdi32", EntryPoint = "CreateDIBSection")]
    private static partial nint CreateDibSection(nint device, in BitmapHeader header, uint usage, out nint bits, nint section, uint offset);

    [LibraryImport("gdi32")]
    private static partial nint CreateBitmap(int width, int height, uint planes, uint bits, nint pixels);

    [LibraryImport("gdi32")]
    private static partial int DeleteObject(nint handle);

    [LibraryImport("user32", SetLastError = true)]
    private static partial nint CreateIconIndirect(in IconInfo info);

    [LibraryImport("user32")]
    private static partial int DestroyIcon(nint icon);

    /// <summary>BITMAPINFOHEADER; a negative height means rows from the top.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct BitmapHeader
    {
        public int Size;
        public int Width;
        public int Height;
        public ushort Planes;
        public ushort Bits;
        public uint Compression;
        public uint ImageSize;
        public int HorizontalResolution;
        public int VerticalResolution;
        public uint Used;
        public uint Important;
    }

    /// <summary>ICONINFO.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct IconInfo
    {
        public int IsIcon;
        public uint HotspotX;
        public uint HotspotY;
        public nint Mask;
        public nint Colour;
    }
}
