using System.Collections.Immutable;
using KvmSwitch.Linux;

namespace KvmSwitch.Tests.Linux;

internal static class ProcessSpecs
{
    public static ProcessSpec Shell(string script, string output) => new("test", "/bin/sh", ["-c", script], output);

    public static ImmutableSortedDictionary<string, string> Environment(string name, string value) =>
        ImmutableSortedDictionary<string, string>.Empty.Add(name, value);
}
