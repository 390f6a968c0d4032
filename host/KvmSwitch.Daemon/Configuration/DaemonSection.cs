using System.Text.RegularExpressions;

namespace KvmSwitch.Daemon.Configuration;

/// <summary>Reads <c>[daemon]</c>.</summary>
internal static partial class DaemonSection
{
    public static DaemonOptions Read(TableReader table)
    {
        var listen = table.List("listen", Quantities.ListenEndPoint);
        var advertise = table.List("advertise", Quantities.Advertised);
        if (listen.IsEmpty && !advertise.IsEmpty) table.Fail("advertise", "has no use while nothing listens; set daemon.listen too, or remove it");
        var qemu = table.Read<string?>("qemu", null, Quantities.AbsolutePath);
        var user = table.Read("qemu_user", DaemonOptions.Default.QemuUser, User);
        var rescue = table.Read(
            "rescue_within", DaemonOptions.Default.RescueWithin, text => Quantities.Duration(text, TimeSpan.Zero, TimeSpan.FromSeconds(30)), Quantities.DurationForm);
        var tools = table.Read("guest_tools", DaemonOptions.Default.GuestTools, Quantities.AbsolutePath);
        table.Finish();
        return new(listen, advertise.IsEmpty ? [.. listen.Select(endPoint => endPoint.ToString())] : advertise, qemu, user)
        {
            RescueWithin = rescue, GuestTools = tools,
        };
    }

    private static string User(string text) => text switch
    {
        "root" or "0" => throw new FormatException("QEMU is never run as root; write the name of a user without rights"),
        _ when UserName().IsMatch(text) => text,
        _ => throw new FormatException($"'{text}' is no user name; write one as useradd takes it"),
    };

    [GeneratedRegex(@"\A[a-z_][a-z0-9_-]{0,31}\z", RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex UserName();
}

/// <summary>Reads <c>[lease]</c>.</summary>
internal static class LeaseSection
{
    private static readonly TimeSpan Longest = TimeSpan.FromSeconds(60);

    public static LeaseOptions Read(TableReader table)
    {
        var standard = LeaseOptions.Default;
        var heartbeat = Duration("heartbeat", standard.Heartbeat, TimeSpan.FromMilliseconds(100), TimeSpan.FromSeconds(10));
        var timeout = Duration("timeout", standard.Timeout, TimeSpan.FromMilliseconds(1), Longest);
        var grace = Duration("reconnect_grace", standard.ReconnectGrace, TimeSpan.FromSeconds(1), Longest);
        // One lost heartbeat must not end a lease.
        if (timeout <= 2 * heartbeat)
        {
            table.Fail(
                table.Has("timeout") ? "timeout" : "heartbeat",
                $"the timeout ({Quantities.Written(timeout)}) must be more than twice the heartbeat ({Quantities.Written(heartbeat)}); change one of them");
        }

        table.Finish();
        return new(heartbeat, timeout, grace);

        TimeSpan Duration(string key, TimeSpan fallback, TimeSpan min, TimeSpan max) =>
            table.Read(key, fallback, text => Quantities.Duration(text, min, max), Quantities.DurationForm);
    }
}
