using System.Globalization;
using System.Text.RegularExpressions;

namespace KvmSwitch.Agent.Windows.Devices;

/// <summary>Where a device sits on a SCSI controller, as Storport tells it.</summary>
internal sealed partial record ScsiPlace(int Channel, int Target, int Unit)
{
    /// <summary>Null where the node doesn't tell.</summary>
    public static ScsiPlace? Of(DeviceNode node) => Read(InWords().Match(node.LocationInformation))
        ?? node.LocationPaths.Select(path => Read(InPath().Match(path))).FirstOrDefault(place => place is not null);

    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Channel}:{Target}:{Unit}");

    private static ScsiPlace? Read(Match match) =>
        match.Success ? new(Number(match, "channel"), Number(match, "target"), Number(match, "unit")) : null;

    private static int Number(Match match, string group) => int.Parse(match.Groups[group].ValueSpan, NumberStyles.None, CultureInfo.InvariantCulture);

    [GeneratedRegex(@"^Bus Number (?<channel>\d{1,4}), Target Id (?<target>\d{1,4}), LUN (?<unit>\d{1,4})$", RegexOptions.ExplicitCapture | RegexOptions.IgnoreCase, matchTimeoutMilliseconds: 100)]
    private static partial Regex InWords();

    [GeneratedRegex(@"\([PC](?<channel>\d{1,4})T(?<target>\d{1,4})L(?<unit>\d{1,4})\)$", RegexOptions.ExplicitCapture | RegexOptions.IgnoreCase, matchTimeoutMilliseconds: 100)]
    private static partial Regex InPath();
}
