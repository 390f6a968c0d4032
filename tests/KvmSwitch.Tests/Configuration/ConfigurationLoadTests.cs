using KvmSwitch.Daemon.Configuration;
using Xunit;

namespace KvmSwitch.Tests.Configuration;

public sealed class ConfigurationLoadTests : IDisposable
{
    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("kvmswitch-test-");

    private string File => Path.Combine(_directory.FullName, "kvmswitch.toml");

    public void Dispose() => _directory.Delete(recursive: true);

    [Fact]
    public void A_file_is_loaded_with_or_without_byte_order_mark()
    {
        Write("\uFEFF[machine.win]\n"u8);
        Assert.Single(ConfigurationFile.Load(File).Machines);
        Write("[machine.win]\n"u8);
        Assert.Single(ConfigurationFile.Load(File).Machines);
    }

    [Fact]
    public void Errors_name_the_file_that_was_loaded()
    {
        Write("x = 1\n"u8);
        Assert.StartsWith($"{File}:1:1: x: is no key that belongs here; ", Refusal(), StringComparison.Ordinal);
    }

    [Fact]
    public void An_absent_file_is_refused() =>
        Assert.Equal($"{File}: The configuration file does not exist; write one, or name another with --config.", Refusal());

    [Fact]
    public void A_directory_is_refused()
    {
        _directory.CreateSubdirectory("kvmswitch.toml");
        Assert.StartsWith($"{File}: The configuration file can't be read (", Refusal(), StringComparison.Ordinal);
    }

    [Fact]
    public void A_file_that_is_not_UTF8_is_refused()
    {
        Write([0x5b, 0xff, 0xfe]);
        Assert.Equal($"{File}: The file is not UTF-8 text; save it as UTF-8.", Refusal());
    }

    [Fact]
    public void A_file_of_one_mebibyte_is_loaded_and_a_larger_one_refused()
    {
        Write([.. Enumerable.Repeat((byte)'\n', ConfigurationFile.MaxSize)]);
        Assert.Empty(ConfigurationFile.Load(File).Machines);
        Write([.. Enumerable.Repeat((byte)'\n', ConfigurationFile.MaxSize + 1)]);
        Assert.Equal($"{File}: The file is larger than 1 MiB, so it can't be the configuration; name the right file.", Refusal());
    }

    [Fact]
    public void A_file_that_everyone_may_write_is_refused()
    {
        if (OperatingSystem.IsWindows()) return;
        Write("[machine.win]\n"u8);
        System.IO.File.SetUnixFileMode(File, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.OtherWrite);
        Assert.Equal($"{File}: Everyone may write this file, and it steers a service with high rights; run: chmod o-w '{File}'", Refusal());
    }

    private void Write(ReadOnlySpan<byte> bytes) => System.IO.File.WriteAllBytes(File, bytes);

    private string Refusal() => Assert.Throws<ConfigurationException>(() => ConfigurationFile.Load(File)).Message;
}
