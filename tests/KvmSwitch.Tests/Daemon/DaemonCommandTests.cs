using KvmSwitch.Daemon;
using Xunit;

namespace KvmSwitch.Tests.Daemon;

/// <summary>The daemon's own command line. It writes to the console, which all tests share: what it says is not looked at here.</summary>
public sealed class DaemonCommandTests : IDisposable
{
    private readonly Folder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("[machine.win]\n", 0)]
    [InlineData("[machine.win]\nmemori = 1\n", 1)]
    [InlineData("garbage", 1)]
    public async Task A_check_ends_with_the_verdict_and_touches_nothing(string text, int exit)
    {
        var path = _folder.Write("kvmswitch.toml", text);
        Assert.Equal(exit, await RunAsync("--check", "--config", path, "--state-directory", _folder["state"], "--runtime-directory", _folder["run"]));
        Assert.Equal([path], Directory.GetFileSystemEntries(_folder.Root));
    }

    [Fact]
    public async Task Without_a_configuration_it_ends_and_touches_nothing()
    {
        Assert.Equal(1, await RunAsync("--config", _folder["none.toml"], "--state-directory", _folder["state"], "--socket", _folder["s"]));
        Assert.Empty(Directory.GetFileSystemEntries(_folder.Root));
    }

    [Fact]
    public async Task A_relative_path_is_refused() => Assert.NotEqual(0, await RunAsync("--check", "--config", "kvmswitch.toml"));

    [Fact]
    public async Task A_daemon_whose_socket_is_taken_ends_before_it_touches_anything()
    {
        var taken = _folder.Write("taken", "text");
        var exit = await RunAsync(
            "--config", _folder.Write("kvmswitch.toml", "[machine.win]\n"), "--socket", taken, "--state-directory", _folder["state"], "--runtime-directory", _folder["run"]);
        Assert.Equal(1, exit);
        Assert.Equal(2, Directory.GetFileSystemEntries(_folder.Root).Length);
    }

    private static Task<int> RunAsync(params string[] arguments) => DaemonCommand.Create().Parse(arguments).InvokeAsync();
}
