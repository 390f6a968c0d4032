using System.Text.Json;
using KvmSwitch.Proto.V1;

namespace KvmSwitch.Cli.Output.Json;

internal static class GuestJson
{
    public static void Write(Utf8JsonWriter json, PairingCode code)
    {
        json.WriteStartObject();
        json.WriteString("code", code.Code);
        json.Time("expires", code.Expires);
        json.WriteString("machine", code.Machine);
        json.WriteEndObject();
    }

    public static void Write(Utf8JsonWriter json, GuestToolsDisc disc)
    {
        json.WriteStartObject();
        json.WriteString("machine", disc.Machine);
        json.Time("expires", disc.Expires);
        json.List("files", disc.Files);
        json.List("missing", disc.Missing);
        json.WriteEndObject();
    }

    public static void Write(Utf8JsonWriter json, RemoveGuestToolsReply reply)
    {
        json.WriteStartObject();
        json.WriteBoolean("removed", reply.Removed);
        json.WriteEndObject();
    }

    public static void Write(Utf8JsonWriter json, GuestList list)
    {
        json.WriteStartObject();
        json.List("guests", list.Guests, guest => Write(json, guest));
        json.WriteEndObject();
    }

    public static void Write(Utf8JsonWriter json, RevokeGuestReply reply)
    {
        json.WriteStartObject();
        json.List("revoked", reply.Revoked);
        json.WriteEndObject();
    }

    private static void Write(Utf8JsonWriter json, PairedGuest guest)
    {
        json.WriteStartObject();
        json.WriteString("id", guest.Id);
        json.WriteString("machine", guest.Machine);
        json.Text("host_name", guest.HostName);
        json.Time("paired", guest.Paired);
        json.Time("expires", guest.Expires);
        json.WriteBoolean("revoked", guest.Revoked);
        json.WriteBoolean("connected", guest.Connected);
        json.List("hotkey_troubles", guest.HotkeyTroubles, trouble => Write(json, trouble));
        json.WriteEndObject();
    }

    private static void Write(Utf8JsonWriter json, PairedGuest.Types.HotkeyTrouble trouble)
    {
        json.WriteStartObject();
        json.WriteString("chord", trouble.Chord);
        json.WriteString("reason", trouble.Reason);
        json.WriteEndObject();
    }
}
