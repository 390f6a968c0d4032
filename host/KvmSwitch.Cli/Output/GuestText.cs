using Google.Protobuf.WellKnownTypes;
using KvmSwitch.Cli.Parsing;
using KvmSwitch.Proto.V1;

namespace KvmSwitch.Cli.Output;

/// <summary>Guests and their pairing, for people.</summary>
internal static class GuestText
{
    public static string Render(IReadOnlyCollection<PairedGuest> guests, TextLayout layout, TimeZoneInfo zone)
    {
        var table = new Table("GUEST", "MACHINE", "STATE", "EXPIRES", "NAME");
        foreach (var guest in guests)
        {
            var expires = guest.Expires is { } end ? TimeZoneInfo.ConvertTime(end.ToDateTimeOffset(), zone).ToString("yyyy-MM-dd") : "";
            table.Add(guest.Id, guest.Machine, State(guest), expires, guest.HostName);
        }

        var troubles = from guest in guests
                       from trouble in guest.HotkeyTroubles
                       select $"In '{Plain.Text(guest.Machine)}' the hotkey {Plain.Text(trouble.Chord)} does not work: {Plain.Text(trouble.Reason)}.\n";
        return table.Render(layout) + string.Concat(troubles);
    }

    public static string Render(PairingCode code, DateTimeOffset now) =>
        $"""
         {Plain.Text(code.Code)}

         In the guest of '{Plain.Text(code.Machine)}', run{Within(code, now)}:
           kvmswitch-agent join {Plain.Text(code.Code)}

         """;

    public static string Render(GuestToolsDisc disc, DateTimeOffset now)
    {
        var missing = string.Concat(disc.Missing.Select(what => $"\n{Plain.Text(what)}"));
        var until = Left(disc.Expires, now) is { } left ? $", or in {left}" : "";
        return $"""
             '{Plain.Text(disc.Machine)}' sees a disc with {string.Join(", ", disc.Files.Select(Plain.Text))}.
             In Windows, open setup.cmd on it; in Linux, mount it and run 'sh setup.sh' as root. An agent that is installed
             already pairs by itself. The disc goes away when the guest has paired{until}.{missing}

             """;
    }

    private static Cell State(PairedGuest guest) => (guest.Revoked, guest.Connected) switch
    {
        (true, _) => new Cell("revoked", Ink.Red),
        (_, true) => new Cell("connected", Ink.Green),
        _ => "paired",
    };

    private static string Within(PairingCode code, DateTimeOffset now) => Left(code.Expires, now) is { } left ? $" within {left}" : "";

    private static string? Left(Timestamp? expires, DateTimeOffset now) => expires?.ToDateTimeOffset() is { } end && end > now
        ? DurationText.Format(TimeSpan.FromSeconds(Math.Round((end - now).TotalSeconds / 10) * 10))
        : null;
}
