using KvmSwitch.Core;

namespace KvmSwitch.Linux;

/// <summary>
/// Network interfaces that the host is reached by: with the default route, or in a bridge or bond, or below one that is.
/// Sources: /sys/class/net, /proc/net/route, /proc/net/ipv6_route.
/// </summary>
internal sealed class NetworkUses(KernelPaths paths)
{
    private readonly string _interfaces = Path.Combine(paths.Sys, "class/net");

    public IEnumerable<PciUse> Behind(PciAddress function)
    {
        var routed = Routed();
        foreach (var name in SysfsPath.NamesIn(_interfaces))
        {
            if (!SysfsPath.FunctionsIn(SysfsPath.TargetOf(Path.Combine(_interfaces, name))).Contains(function)) continue;
            var text = SysfsText.Clean(name);
            if (SysfsText.LinkName(Path.Combine(_interfaces, name), "master") is { } master)
                yield return new(function, $"the network interface {text}, which is in {SysfsText.Clean(master)}", $"take it out of {SysfsText.Clean(master)} first", IsVital: false);
            else if (Above(name, []).Any(routed.Contains))
                yield return new(function, $"the network interface {text}, which has the default route", "give the host another way to its network first", IsVital: false);
        }
    }

    /// <summary>The interface and those built on it: eth0.5 is above eth0.</summary>
    private HashSet<string> Above(string name, HashSet<string> seen)
    {
        const string Upper = "upper_";
        if (!seen.Add(name)) return seen;
        foreach (var entry in SysfsPath.NamesIn(Path.Combine(_interfaces, name)))
            if (entry.StartsWith(Upper, StringComparison.Ordinal)) Above(entry[Upper.Length..], seen);
        return seen;
    }

    private HashSet<string> Routed()
    {
        const string NoAddress = "00000000000000000000000000000000";
        var four = KernelText.Lines(Path.Combine(paths.Proc, "net/route")).Skip(1).Select(line => line.Split('\t', StringSplitOptions.TrimEntries))
            .Where(fields => fields.Length > 7 && fields[1] == "00000000" && fields[7] == "00000000").Select(fields => fields[0]);

        // Unreachable routes of the kernel's own are for lo.
        var six = KernelText.Lines(Path.Combine(paths.Proc, "net/ipv6_route")).Select(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries))
            .Where(fields => fields.Length > 9 && fields[0] == NoAddress && fields[1] == "00").Select(fields => fields[^1]).Where(name => name != "lo");
        return [.. four, .. six];
    }
}
