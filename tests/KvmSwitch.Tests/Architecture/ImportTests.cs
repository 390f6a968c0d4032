using System.Collections.Immutable;
using System.Reflection.Metadata;
using System.Reflection.PortableExecutable;
using System.Xml.Linq;
using KvmSwitch.Tests.Configuration;
using Xunit;

namespace KvmSwitch.Tests.Architecture;

/// <summary>Holds the parts apart: who may import whom, and where contract types stop.</summary>
public sealed class ImportTests
{
    private static readonly string[] Folders = ["guest-agent", "host", "installer", "proto", "tests"];

    /// <summary>What is built beside the sources, or by tools.</summary>
    private static readonly string[] Ignored = ["artifacts", "bin", "obj"];

    /// <summary>A project, and those of ours that it may import.</summary>
    public static TheoryData<string, string[]> Allowed { get; } = new()
    {
        { "KvmSwitch.Proto", [] },
        { "KvmSwitch.Core", [] },
        { "KvmSwitch.Qmp", [] },
        { "KvmSwitch.Linux", ["KvmSwitch.Core"] },
        { "KvmSwitch.Daemon", ["KvmSwitch.Core", "KvmSwitch.Qmp", "KvmSwitch.Linux", "KvmSwitch.Proto"] },
        { "KvmSwitch.Cli", ["KvmSwitch.Core", "KvmSwitch.Linux", "KvmSwitch.Proto"] },
        { "KvmSwitch.Desktop", ["KvmSwitch.Core", "KvmSwitch.Linux", "KvmSwitch.Proto"] },
        { "KvmSwitch.Agent", ["KvmSwitch.Proto"] },
        { "KvmSwitch.Demo", ["KvmSwitch.Qmp"] },
        { "KvmSwitch.Testing", ["KvmSwitch.Core", "KvmSwitch.Qmp", "KvmSwitch.Linux"] },
    };

    /// <summary>An assembly and the name of its project.</summary>
    public static TheoryData<string, string> Assemblies { get; } = new()
    {
        { "KvmSwitch.Proto", "KvmSwitch.Proto" },
        { "KvmSwitch.Core", "KvmSwitch.Core" },
        { "KvmSwitch.Qmp", "KvmSwitch.Qmp" },
        { "KvmSwitch.Linux", "KvmSwitch.Linux" },
        { "kvmswitchd", "KvmSwitch.Daemon" },
        { "kvmswitch", "KvmSwitch.Cli" },
        { "kvmswitch-agent", "KvmSwitch.Agent" },
        { "KvmSwitch.Testing", "KvmSwitch.Testing" },
    };

    public static TheoryData<string> FoldersWithoutContract { get; } = ["Configuration", "Machines", "Persistence", "Routes"];

    [Theory]
    [MemberData(nameof(Allowed))]
    public void A_project_imports_no_more_than_it_may(string project, string[] allowed)
    {
        foreach (var file in Projects().Where(path => Path.GetFileNameWithoutExtension(path) == project))
            Assert.Empty(ImportsOf(file).Except(allowed));
    }

    [Theory]
    [MemberData(nameof(Assemblies))]
    public void An_assembly_refers_to_no_more_than_its_project_may(string assembly, string project)
    {
        var ours = Assemblies.Select(row => row.Data).ToDictionary(pair => pair.Item1, pair => pair.Item2);
        var allowed = Allowed.Single(row => row.Data.Item1 == project).Data.Item2;
        Assert.Empty(ReferencesOf(assembly).Where(ours.ContainsKey).Select(name => ours[name]).Except(allowed));
    }

    [Theory]
    [InlineData("KvmSwitch.Core")]
    [InlineData("KvmSwitch.Qmp")]
    [InlineData("KvmSwitch.Linux")]
    public void What_is_below_the_daemon_knows_nothing_of_the_contract(string assembly)
    {
        var references = ReferencesOf(assembly);
        Assert.Contains("System.Runtime", references);
        Assert.DoesNotContain(references, name => name.StartsWith("Google.", StringComparison.Ordinal) || name.StartsWith("Grpc.", StringComparison.Ordinal));
    }

    [Theory]
    [MemberData(nameof(FoldersWithoutContract))]
    public void Types_of_the_contract_stop_at_the_services(string folder)
    {
        var files = Directory.GetFiles(Repository.PathOf("host", "KvmSwitch.Daemon", folder), "*.cs", SearchOption.AllDirectories);
        Assert.NotEmpty(files);
        Assert.DoesNotContain(files, file => File.ReadAllText(file).Contains("KvmSwitch.Proto", StringComparison.Ordinal));
    }

    [Fact]
    public void Nothing_but_tests_imports_the_daemon()
    {
        var importers = Projects().Where(file => ImportsOf(file).Contains("KvmSwitch.Daemon")).Select(Relative).ToArray();
        Assert.Contains("tests/KvmSwitch.Tests/KvmSwitch.Tests.csproj", importers);
        Assert.All(importers, path => Assert.StartsWith("tests/", path, StringComparison.Ordinal));
    }

    [Fact]
    public void Every_project_has_its_rule_or_is_a_test()
    {
        var ruled = Allowed.Select(row => row.Data.Item1).ToHashSet(StringComparer.Ordinal);
        Assert.DoesNotContain(
            Projects(), file => !ruled.Contains(Path.GetFileNameWithoutExtension(file)) && !Relative(file).StartsWith("tests/", StringComparison.Ordinal));
    }

    [Fact]
    public void The_folders_at_the_top_are_the_fixed_ones()
    {
        var folders = Directory.GetDirectories(Repository.PathOf()).Select(path => Path.GetFileName(path))
            .Where(name => name[0] != '.' && !Ignored.Contains(name)).Order(StringComparer.Ordinal);
        Assert.Equal(Folders, folders);
    }

    [Fact]
    public void Every_project_is_in_the_solution()
    {
        var solution = File.ReadAllText(Repository.PathOf("KvmSwitch.sln"));
        Assert.All(Projects().Select(Relative), path => Assert.Contains($"\"{path.Replace('/', '\\')}\"", solution, StringComparison.Ordinal));
    }

    private static string Relative(string path) => Path.GetRelativePath(Repository.PathOf(), path);

    private static IEnumerable<string> Projects() =>
        Folders.SelectMany(folder => Directory.GetFiles(Repository.PathOf(folder), "*.csproj", SearchOption.AllDirectories));

    private static IEnumerable<string> ImportsOf(string project) => XDocument.Load(project).Descendants("ProjectReference")
        .Select(reference => Path.GetFileNameWithoutExtension(reference.Attribute("Include")!.Value.Replace('\\', '/')));

    private static ImmutableArray<string> ReferencesOf(string assembly)
    {
        using var image = new PEReader(File.OpenRead(Path.Combine(AppContext.BaseDirectory, $"{assembly}.dll")));
        var metadata = image.GetMetadataReader();
        return [.. metadata.AssemblyReferences.Select(handle => metadata.GetString(metadata.GetAssemblyReference(handle).Name))];
    }
}
