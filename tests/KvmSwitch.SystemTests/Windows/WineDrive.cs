namespace KvmSwitch.SystemTests.Windows;

/// <summary>A drive of Windows that is a directory here: it stands for the host's disc. Disposing pulls it out.</summary>
internal sealed class WineDrive : IDisposable
{
    private readonly string _device;
    private readonly string _directory = Directory.CreateTempSubdirectory("kvmswitch-drive-").FullName;

    /// <param name="letter">Of the drive.</param>
    public WineDrive(WineDesktop windows, char letter)
    {
        _device = Path.Combine(windows.Prefix, "dosdevices", $"{letter}:");
        File.CreateSymbolicLink(_device, _directory);
    }

    public WineDrive Put(string name, string text)
    {
        File.WriteAllText(Path.Combine(_directory, name), text);
        return this;
    }

    public void Dispose()
    {
        if (Path.Exists(_device)) File.Delete(_device);
        if (Directory.Exists(_directory)) Directory.Delete(_directory, recursive: true);
    }
}
