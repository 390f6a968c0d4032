using KvmSwitch.Daemon.GuestTools;
using KvmSwitch.Tests.Daemon;
using Xunit;

namespace KvmSwitch.Tests.GuestTools;

public sealed class DiscContentTests
{
    private static readonly IReadOnlyList<DiscFile> Files = DiscContent.Of(new("/tools/kvmswitch-agent.msi", "/tools/kvmswitch-agent", []), MachineRig.Win, "ksw1-abc");

    [Fact]
    public void The_join_file_holds_the_code_and_nothing_else_has_it()
    {
        Assert.Equal("ksw1-abc\n", Of("kvmswitch.join").Text);
        Assert.DoesNotContain(Files.Where(file => file.Name != "kvmswitch.join"), file => file.Text.Contains("ksw1-abc", StringComparison.Ordinal));
    }

    [Fact]
    public void What_Windows_reads_has_the_ends_of_its_lines_and_what_Linux_runs_has_not()
    {
        Assert.All(["README.txt", "setup.cmd", "autorun.inf"], name => Assert.DoesNotContain('\n', Of(name).Text.Replace("\r\n", "", StringComparison.Ordinal)));
        Assert.DoesNotContain('\r', Of("setup.sh").Text);
        Assert.Contains("the machine \"win\"", Of("README.txt").Text, StringComparison.Ordinal);
    }

    [Fact]
    public void Only_what_Linux_runs_is_a_program() =>
        Assert.Equal(["kvmswitch-agent", "setup.sh"], Files.Where(file => file.IsProgram).Select(file => file.Name));

    private static DiscFile Of(string name) => Files.Single(file => file.Name == name);
}
