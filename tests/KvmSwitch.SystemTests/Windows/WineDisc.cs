namespace KvmSwitch.SystemTests.Windows;

/// <summary>A disc in drive K: of a <see cref="WineDesktop"/>: it stands for the host's. Disposing pulls it out.</summary>
internal sealed class WineDisc(WineDesktop windows) : IDisposable
{
    public WineDisc Put(string name, string text)
    {
        File.WriteAllText(Path.Combine(windows.Disc, name), text);
        return this;
    }

    public void Dispose()
    {
        foreach (var file in Directory.GetFiles(windows.Disc)) File.Delete(file);
    }
}
