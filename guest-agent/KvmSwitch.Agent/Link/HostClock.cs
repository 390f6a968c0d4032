using System.Globalization;
using Grpc.Core;

namespace KvmSwitch.Agent.Link;

/// <summary>The host's clock, as each of its answers tells it (RFC 9110, Date). No link needs the clocks to agree; people, logs and certificates do.</summary>
internal static class HostClock
{
    // Hours are lost where a system takes the hardware's clock for local time, and found again by themselves.
    private static readonly TimeSpan Tolerance = TimeSpan.FromDays(1);

    /// <summary>One sentence when the clocks are far apart; null when they are not, or that can't be told.</summary>
    /// <param name="call">Whose answer began.</param>
    /// <param name="here">This guest's clock.</param>
    public static string? Compare(Task<Metadata> call, DateTimeOffset here) => call.IsCompletedSuccessfully
        && DateTimeOffset.TryParseExact(call.Result.GetValue("date"), "r", CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var there)
        && (here - there).Duration() > Tolerance
            ? $"The clock here says {here.UtcDateTime:yyyy-MM-dd}, the host's {there:yyyy-MM-dd}: set the one that is wrong."
            : null;
}
