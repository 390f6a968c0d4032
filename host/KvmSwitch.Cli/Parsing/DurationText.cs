using System.Globalization;

namespace KvmSwitch.Cli.Parsing;

/// <summary>Lengths of time as people write them: <c>90s</c>, <c>2m</c>, <c>1h30m</c>; hours, minutes, seconds in that order, whole numbers.</summary>
internal static class DurationText
{
    private const string Form = "write it like 90s, 2m or 1h30m";
    private const int MostDigits = 6;

    public static readonly TimeSpan Longest = TimeSpan.FromDays(7);

    /// <param name="text">What was typed.</param>
    /// <param name="value">The length of time, longer than zero and at most <see cref="Longest"/>.</param>
    /// <param name="error">What is wrong with it, a sentence without its full stop.</param>
    public static bool TryParse(string text, out TimeSpan value, out string error)
    {
        value = TimeSpan.Zero;
        error = Add(text, ref value);
        if (error.Length == 0 && value <= TimeSpan.Zero)
        {
            error = $"'{text}' is no time at all: {Form}";
        }
        else if (error.Length == 0 && value > Longest)
        {
            error = $"'{text}' is longer than 7 days (168h)";
        }

        return error.Length == 0;
    }

    /// <summary>The shortest text that reads back as the same time, in whole seconds.</summary>
    public static string Format(TimeSpan value)
    {
        var seconds = (long)Math.Round(value.TotalSeconds, MidpointRounding.AwayFromZero);
        var (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
        seconds %= 60;
        var text = $"{(hours > 0 ? $"{hours}h" : "")}{(minutes > 0 ? $"{minutes}m" : "")}{(seconds > 0 ? $"{seconds}s" : "")}";
        return text.Length > 0 ? text : "0s";
    }

    private static string Add(string text, ref TimeSpan value)
    {
        var units = "hms";
        var rest = text.AsSpan();
        do
        {
            var digits = rest.IndexOfAnyExceptInRange('0', '9');
            if (digits < 0)
            {
                return rest.Length > 0 ? $"'{text}' lacks a unit: {Form}" : $"a time is missing: {Form}";
            }

            var unit = units.IndexOf(rest[digits], StringComparison.Ordinal);
            if (digits is 0 or > MostDigits || unit < 0)
            {
                return $"'{text}' is not a time: {Form}";
            }

            value += int.Parse(rest[..digits], CultureInfo.InvariantCulture) * Length(units[unit]);
            units = units[(unit + 1)..];
            rest = rest[(digits + 1)..];
        }
        while (rest.Length > 0);

        return "";
    }

    private static TimeSpan Length(char unit) => unit switch
    {
        'h' => TimeSpan.FromHours(1),
        'm' => TimeSpan.FromMinutes(1),
        _ => TimeSpan.FromSeconds(1),
    };
}
