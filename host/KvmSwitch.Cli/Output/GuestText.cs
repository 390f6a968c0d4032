using KvmSwitch.Cli.Parsing;
using KvmSwitch.Proto.V1;

namespace KvmSwitch.Cli.Output;

/// <summary>Guests and their pairing, for people.</summary>
internal static class GuestText
{
    public static string Render(IEnumerable<PairedGuest> guests, TextLayout layout, TimeZoneInfo zone)
    {
        var table = new Table("GUEST", "MACHINE", "STATE", "EXPIRES", "NAME");
        foreach (var guest in guests)
        {
            var expires = guest.Expires is { } end ? TimeZoneInfo.ConvertTime(end.ToDateTimeOffset(), zone).ToString("yyyy-MM-dd") : "";
            table.Add(guest.Id, guest.Machine, State(guest), expires, guest.HostName);
        }

        return table.Render(layout);
    }

    public static string Render(PairingCode code, DateTimeOffset now) =>
        $"""
         {Plain.Text(code.Code)}

         In the guest of '{Plain.Text(code.Machine)}', run{Within(code, now)}:
           kvmswitch-agent join {Plain.Text(code.Code)}

         """;

    private static Cell State(PairedGuest guest) => (guest.Revoked, guest.Connected) switch
    {
        (true, _) => new Cell("revoked", Ink.Red),
        (_, true) => new Cell("connected", Ink.Green),
        _ => "paired",
    };

    private static string Within(PairingCode code, DateTimeOffset now) => code.Expires?.ToDateTimeOffset() is { } end && end > now
        ? $" within {DurationText.Format(TimeSpan.FromSeconds(Math.Round((end - now).TotalSeconds / 10) * 10))}"
        : "";
}
