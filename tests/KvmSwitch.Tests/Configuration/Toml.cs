using KvmSwitch.Daemon.Configuration;
using Xunit;

namespace KvmSwitch.Tests.Configuration;

internal static class Toml
{
    public static SwitchConfiguration Parse(string text) => ConfigurationFile.Parse(text, "f");

    /// <summary>The errors that the text gives, one line each.</summary>
    public static string[] Errors(string text) =>
        [.. Assert.Throws<ConfigurationException>(() => Parse(text)).Errors.Select(error => error.ToString())];
}
