using System.Text;
using Microsoft.Win32.SafeHandles;

namespace KvmSwitch.Agent.Enrolment;

/// <summary>The file on a drive whose first line is a pairing code: how a disc of the host pairs a guest with nothing typed.</summary>
internal static class JoinFile
{
    public const string Name = "kvmswitch.join";

    /// <summary>A code is 4 KiB at most.</summary>
    private const int Longest = 8 * 1024;

    /// <param name="root">A drive's root directory.</param>
    /// <returns>Null: it has no such file.</returns>
    public static JoinOffer? Read(string root)
    {
        var path = Path.Combine(root, Name);
        try
        {
            using var file = Open(path);
            return file is null ? null : Parse(path, file);
        }
        catch (Exception missing) when (missing is FileNotFoundException or DirectoryNotFoundException)
        {
            return null;
        }
        catch (Exception unreadable) when (unreadable is IOException or UnauthorizedAccessException or NotSupportedException)
        {
            return Unusable(path, $"{path} can't be read ({unreadable.Message.TrimEnd('.')})");
        }
    }

    /// <summary>A named pipe, put there to hold us up, is no reason to wait on Linux.</summary>
    private static SafeFileHandle? Open(string path) => OperatingSystem.IsLinux()
        ? Linux.Native.TryOpenForReading(path)
        : File.OpenHandle(path, share: FileShare.ReadWrite | FileShare.Delete);

    private static JoinOffer Parse(string path, SafeFileHandle file)
    {
        var buffer = new byte[Longest + 1];
        var length = 0;
        while (length < buffer.Length && RandomAccess.Read(file, buffer.AsSpan(length), length) is > 0 and var count)
            length += count;
        if (length > Longest)
            return Unusable(path, $"{path} is longer than a pairing code is");
        var line = Encoding.UTF8.GetString(buffer, 0, length).TrimStart('\ufeff').Split('\n')[0];
        try
        {
            return new(path, JoinCode.Parse(line), Problem: null);
        }
        catch (BadJoinCodeException)
        {
            return Unusable(path, $"{path} holds no pairing code");
        }
    }

    private static JoinOffer Unusable(string path, string what) =>
        new(path, Code: null, $"{what}: ask for a new disc on the host with 'kvmswitch guest tools'.");
}
