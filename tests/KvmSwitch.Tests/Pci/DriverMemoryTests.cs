using KvmSwitch.Core;
using KvmSwitch.Linux;
using Xunit;

namespace KvmSwitch.Tests.Pci;

public sealed class DriverMemoryTests : IDisposable
{
    private static readonly PciAddress Ehci = PciAddress.Parse("0000:00:1a.0");
    private static readonly PciAddress Xhci = PciAddress.Parse("0000:00:14.0");
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("kvmswitch-drivers-");

    private string PathOf => Path.Combine(_folder.FullName, "drivers.json");

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public async Task What_was_saved_is_found_by_the_next_daemon_and_what_was_forgotten_is_not()
    {
        using (var memory = DriverMemory.Open(PathOf))
        {
            await memory.SaveAsync(Ehci, "ehci-pci", CancellationToken.None);
            await memory.SaveAsync(Xhci, "", CancellationToken.None);
        }

        using (var memory = DriverMemory.Open(PathOf))
        {
            Assert.Equal(("ehci-pci", ""), (memory.Find(Ehci), memory.Find(Xhci)));
            await memory.SaveAsync(Ehci, null, CancellationToken.None);
        }

        using var last = DriverMemory.Open(PathOf);
        Assert.Equal((null, ""), (last.Find(Ehci), last.Find(Xhci)));
    }

    [Fact]
    public async Task What_can_not_be_written_is_not_remembered_but_is_forgotten()
    {
        using var memory = DriverMemory.Open(Path.Combine(_folder.FullName, "state", "drivers.json"));
        await Assert.ThrowsAsync<IOException>(() => memory.SaveAsync(Ehci, "ehci-pci", CancellationToken.None));
        Assert.Null(memory.Find(Ehci));

        _folder.CreateSubdirectory("state");
        await memory.SaveAsync(Ehci, "ehci-pci", CancellationToken.None);
        Directory.Delete(Path.Combine(_folder.FullName, "state"), recursive: true);
        await Assert.ThrowsAsync<IOException>(() => memory.SaveAsync(Ehci, null, CancellationToken.None));
        Assert.Null(memory.Find(Ehci));
    }

    [Theory]
    [InlineData("")]
    [InlineData("[]")]
    [InlineData("null")]
    [InlineData("""{"version": 2, "functions": {}}""")]
    [InlineData("""{"version": 1}""")]
    [InlineData("""{"version": 1, "functions": {"0000:00:1a.0": "../../../etc"}}""")]
    [InlineData("""{"version": 1, "functions": {"0000:00:1a.0": ".."}}""")]
    [InlineData("""{"version": 1, "functions": {"0000:00:1a.0": 7}}""")]
    [InlineData("""{"version": 1, "functions": {"0000:00:1a.0": null}}""")]
    [InlineData("""{"version": 1, "functions": {"keyboard": "ehci-pci"}}""")]
    [InlineData("""{"version": 1, "functions": {"0000:00:1a.0": "a", "0000:00:1a.0": "b"}}""")]
    public async Task A_file_that_makes_no_sense_is_an_error_that_says_what_to_do(string content)
    {
        await File.WriteAllTextAsync(PathOf, content);

        var error = Assert.Throws<SwitchException>(() => DriverMemory.Open(PathOf));

        Assert.StartsWith($"the remembered drivers in {PathOf} can't be read (", error.Message, StringComparison.Ordinal);
        Assert.EndsWith("move the file away, and restart the computer if a controller was given to a machine", error.Message, StringComparison.Ordinal);
    }
}
