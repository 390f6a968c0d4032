using System.Runtime.InteropServices;
using System.Text;

namespace KvmSwitch.Linux;

/// <summary>Writes attributes of sysfs.</summary>
public interface ISysfsWriter
{
    /// <summary>
    /// One write(2). Blocks for as long as the kernel likes, which is for ever when a driver hangs: never call it on a thread that is
    /// needed for anything else.
    /// </summary>
    /// <returns>0, or the error's number.</returns>
    int Write(string path, string text);
}

/// <inheritdoc/>
public sealed class SysfsWriter : ISysfsWriter
{
    public int Write(string path, string text)
    {
        using var file = Libc.Open(path, Libc.O_WRONLY | Libc.O_CLOEXEC, 0);
        if (file.IsInvalid) return Marshal.GetLastPInvokeError();
        var bytes = Encoding.ASCII.GetBytes(text + "\n");
        return Libc.Write(file, bytes, bytes.Length) < 0 ? Marshal.GetLastPInvokeError() : 0;
    }
}
