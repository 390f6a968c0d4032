using System.Text.Json;
using Google.Protobuf.WellKnownTypes;

namespace KvmSwitch.Cli.Output.Json;

/// <summary>Fields in the shapes that all our documents use: every key is always there, and null says that there is nothing.</summary>
internal static class JsonFields
{
    /// <summary>The text, or null for an empty one.</summary>
    public static void Text(this Utf8JsonWriter json, string key, string value) => json.WriteString(key, value.Length > 0 ? value : null);

    /// <summary>UTC, ISO 8601.</summary>
    public static void Time(this Utf8JsonWriter json, string key, Timestamp? value)
    {
        if (value is null)
        {
            json.WriteNull(key);
        }
        else
        {
            json.WriteString(key, value.ToDateTime());
        }
    }

    /// <summary>Milliseconds, to the microsecond.</summary>
    public static void Milliseconds(this Utf8JsonWriter json, string key, double value) => json.WriteNumber(key, Math.Round(value, 3));

    public static void List(this Utf8JsonWriter json, string key, IEnumerable<string> values) => json.List(key, values, json.WriteStringValue);

    public static void List<T>(this Utf8JsonWriter json, string key, IEnumerable<T> values, Action<T> write)
    {
        json.WriteStartArray(key);
        foreach (var value in values)
        {
            write(value);
        }

        json.WriteEndArray();
    }
}
