using System.Runtime.InteropServices;

namespace KvmSwitch.Testing.Linux;

/// <summary>A pipe with a name where /sys/bus/usb/drivers_probe would be: what is written to it, a name on each line, is acted on in order.</summary>
internal sealed partial class DriversProbe : IDisposable
{
    private const string End = "end";
    private readonly string _path;
    private readonly Thread _reader;

    public DriversProbe(string path, Action<string> probe)
    {
        const uint OwnerMayReadAndWrite = 0x180; // 0600
        _path = path;
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        if (MakePipe(path, OwnerMayReadAndWrite) != 0) throw new IOException($"{path}: {Marshal.GetLastPInvokeErrorMessage()}");

        // Open for both, so that opening doesn't wait for a writer and the end of one isn't the end of all.
        var pipe = new FileStream(path, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite);
        _reader = new Thread(() => Run(pipe, probe)) { IsBackground = true, Name = "drivers_probe" };
        _reader.Start();
    }

    public void Dispose()
    {
        File.AppendAllText(_path, End + "\n");
        _reader.Join();
    }

    private static void Run(FileStream pipe, Action<string> probe)
    {
        using var reader = new StreamReader(pipe);
        while (reader.ReadLine() is { } name && name != End) probe(name);
    }

    [LibraryImport("libc", EntryPoint = "mkfifo", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int MakePipe(string path, uint mode);
}
