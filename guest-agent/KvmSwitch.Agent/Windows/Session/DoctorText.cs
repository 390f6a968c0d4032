using System.Text;
using System.Text.Json;

namespace KvmSwitch.Agent.Windows.Session;

/// <summary>The doctor's findings, a line each.</summary>
internal static class DoctorText
{
    public static string Of(IReadOnlyList<Check> checks)
    {
        var width = checks.Max(check => check.Name.Length);
        return string.Join('\n', checks.Select(check => $"{Mark(check.Outcome),-7} {check.Name.PadRight(width)}  {check.Text}"));
    }

    public static string Json(IReadOnlyList<Check> checks)
    {
        using var buffer = new MemoryStream();
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            json.WriteBoolean("ok", checks.All(check => check.Outcome != CheckOutcome.Broken));
            json.WriteStartArray("checks");
            foreach (var check in checks)
            {
                json.WriteStartObject();
                json.WriteString("name", check.Name);
                json.WriteString("outcome", Mark(check.Outcome));
                json.WriteString("text", check.Text);
                json.WriteEndObject();
            }

            json.WriteEndArray();
            json.WriteEndObject();
        }

        return Encoding.UTF8.GetString(buffer.ToArray());
    }

    private static string Mark(CheckOutcome outcome) => outcome switch
    {
        CheckOutcome.Fine => "ok",
        CheckOutcome.Broken => "broken",
        _ => "unknown",
    };
}
